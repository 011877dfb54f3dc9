import { join } from 'node:path'
import { startFront, TABLE } from './front.ts'
import type { Probe } from './run.ts'
import { hasStrace, trace } from './tracing.ts'

interface Death {
  /** Whether the rows were there after the restart. */
  arrived: boolean
  /** Whether a repeat with the same token stored the rows, and one with a fresh token. */
  same: boolean
  fresh: boolean
}

/** Lets the engine die at a moment of its insert, starts it again and repeats the insert. */
async function dieAt(directory: string, filtersOf: (tableDirectory: string) => string[]): Promise<Death> {
  const front = await startFront(directory)
  await front.client.command({ query: TABLE })
  await front.insert([1], 'first')
  const query = "SELECT data_paths[1] AS path FROM system.tables WHERE name = 't'"
  const result = await front.client.query({ query, format: 'JSONEachRow' })
  const [table] = await result.json<{ path: string }>()
  const tracing = await trace(front.pid, join(directory, 'trace'), filtersOf(table?.path ?? ''))
  const outcome = await front.insert([2], 'doubtful').then(
    () => 'answered',
    () => 'no answer',
  )
  await tracing.detach()
  await front.kill()
  if (outcome === 'answered') throw new Error('the engine answered and did not die')
  const next = await startFront(directory)
  const arrived = (await next.ids()).includes(2)
  await next.insert([2], 'doubtful')
  const same = (await next.ids()).filter((id) => id === 2).length > (arrived ? 1 : 0)
  await next.insert([2], 'fresh')
  const fresh = (await next.ids()).filter((id) => id === 2).length > (arrived ? 1 : 0) + (same ? 1 : 0)
  await next.kill()
  return { arrived, same, fresh }
}

export const p3: Probe = {
  name: 'P3',
  question: 'Killed between the log of tokens and the part: is the retry lost, or doubled?',
  async run(directory) {
    if (!hasStrace()) return { saw: 'not looked at: strace is not installed', holds: true }
    const before = await dieAt(join(directory, 'before'), () => ['-e', 'inject=rename:error=EIO:signal=SIGKILL:when=1'])
    const after = await dieAt(join(directory, 'after'), (table) => [
      ...['-P', join(table, 'all_2_2_0')],
      ...['-e', 'inject=fdatasync:signal=SIGKILL:when=1'],
    ])
    const words = ({ arrived, same, fresh }: Death) =>
      `rows ${arrived ? 'present' : 'absent'}, same token ${same ? 'stored' : 'dropped'}, fresh token ${fresh ? 'stored' : 'dropped'}`
    return {
      saw: `killed after the log and before the rename: ${words(before)}; killed after the rename: ${words(after)}`,
      // What the sink relies on: a probe tells the two apart, and a fresh token always stores.
      holds: !before.arrived && before.fresh && after.arrived,
    }
  },
}
