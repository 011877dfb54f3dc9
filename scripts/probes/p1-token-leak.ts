import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startFront, TABLE } from './front.ts'
import type { Probe } from './run.ts'

const SESSION = fileURLToPath(new URL('session.ts', import.meta.url))

export const p1: Probe = {
  name: 'P1',
  question: 'Does a token that came as a setting stick to the session and drop the next insert?',
  async run(directory) {
    const raw = await promisify(execFile)(process.execPath, [SESSION, join(directory, 'raw')])
    const front = await startFront(join(directory, 'front'))
    await front.client.command({ query: TABLE })
    await front.insert([1], 'token')
    await front.insert([2])
    await Promise.all(Array.from({ length: 20 }, (_, i) => front.insert([10 + i], i % 2 ? `token ${i}` : undefined)))
    const through = (await front.ids()).length
    await front.kill()
    return {
      saw: `on one session of the bare engine, SET and two inserts: ${raw.stdout.trim()} of 2 rows; through the front, a connection per statement: ${through} of 22`,
      holds: through === 22,
    }
  },
}
