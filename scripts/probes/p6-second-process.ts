import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { spawnFront, startFront, TABLE } from './front.ts'
import type { Probe } from './run.ts'

const SESSION = fileURLToPath(new URL('session.ts', import.meta.url))

export const p6: Probe = {
  name: 'P6',
  question: 'Does a second process on the same directory refuse to start?',
  async run(directory) {
    const front = await startFront(directory)
    await front.client.command({ query: TABLE })
    await front.insert([1])
    const second = spawnFront(directory)
    const [code] = await once(second, 'exit')
    const bare = await promisify(execFile)(process.execPath, [SESSION, directory]).then(
      () => 'starts',
      (error: { stderr: string }) => `refuses (${/Cannot lock file|lock/i.exec(error.stderr)?.[0] ?? 'crash'})`,
    )
    const unharmed = (await front.ids()).join() === '1'
    await front.kill()
    return {
      saw: `a second front exits with ${code}; the bare engine ${bare}; the first is ${unharmed ? 'unharmed' : 'harmed'}`,
      holds: code === 1 && unharmed,
    }
  },
}
