import { startFront, TABLE } from './front.ts'
import type { Probe } from './run.ts'

const TOKENS = 50

export const p2: Probe = {
  name: 'P2',
  question: 'Does the memory for tokens survive a restart and a kill -9?',
  async run(directory) {
    let front = await startFront(directory)
    await front.client.command({ query: TABLE })
    const sendAll = async () => {
      for (let id = 0; id < TOKENS; id++) await front.insert([id], `token ${id}`)
    }
    await sendAll()
    const counts: number[] = []
    for (let round = 0; round < 2; round++) {
      await front.kill()
      front = await startFront(directory)
      await sendAll()
      const result = await front.client.query({ query: 'SELECT count() AS n FROM t', format: 'JSONEachRow' })
      counts.push(Number((await result.json<{ n: string }>())[0]?.n))
    }
    await front.kill()
    const holds = counts.every((count) => count === TOKENS)
    return { saw: `${TOKENS} inserts, repeated after each of 2 kills: ${counts.join(', ')} rows`, holds }
  },
}
