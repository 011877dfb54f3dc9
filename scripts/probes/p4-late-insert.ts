import { setTimeout as delay } from 'node:timers/promises'
import { startFront, TABLE } from './front.ts'
import type { Probe } from './run.ts'

const ROWS = 600_000
const GIVE_UP_MS = 100
const LANDED_WITHIN_MS = 30_000

export const p4: Probe = {
  name: 'P4',
  question: 'Can an insert that its sender gave up land later?',
  async run(directory) {
    const front = await startFront(directory)
    await front.client.command({ query: TABLE })
    const query = `INSERT INTO t SELECT number, toString(sipHash128(number)) FROM numbers(${ROWS}) WHERE NOT ignore(sleepEachRow(0.000001))`
    const startedAt = performance.now()
    const outcome = await front.client.command({ query, abort_signal: AbortSignal.timeout(GIVE_UP_MS) }).then(
      () => 'answered',
      () => 'given up',
    )
    const count = async () => {
      const result = await front.client.query({ query: 'SELECT count() AS n FROM t', format: 'JSONEachRow' })
      return Number((await result.json<{ n: string }>())[0]?.n)
    }
    const atOnce = await count()
    while ((await count()) < ROWS && performance.now() - startedAt < LANDED_WITHIN_MS) await delay(10)
    const landed = await count()
    const landedMs = Math.round(performance.now() - startedAt)
    await front.kill()
    return {
      saw: `${outcome} after ${GIVE_UP_MS} ms with ${atOnce} rows stored; ${landed} of ${ROWS} rows stored ${landedMs} ms after it was sent`,
      holds: outcome === 'given up',
    }
  },
}
