import { join } from 'node:path'
import { startFront, TABLE } from './front.ts'
import type { Probe } from './run.ts'
import { hasStrace, trace } from './tracing.ts'

export const p7: Probe = {
  name: 'P7',
  question: 'Is every file of a part on disk before the insert is answered?',
  async run(directory) {
    if (!hasStrace()) return { saw: 'not looked at: strace is not installed', holds: true }
    const front = await startFront(directory)
    await front.client.command({ query: TABLE })
    await front.insert([1])
    const calls = 'trace=write,writev,rename,renameat,renameat2,fsync,fdatasync'
    const tracing = await trace(front.pid, join(directory, 'trace'), ['-e', calls])
    await front.insert([2], 'token')
    const lines = await tracing.detach()
    await front.kill()
    return judge(lines)
  },
}

/** Reads the order of things out of the trace: files, log of tokens, rename, directory. */
function judge(lines: string[]) {
  const files = (pattern: RegExp) => new Set(lines.flatMap((line) => pattern.exec(line)?.[1] ?? []))
  const written = files(/ write\(\d+<[^>]*\/tmp_insert_[^/>]*\/([^/>]+)>/)
  const synced = files(/ f(?:data)?sync\(\d+<[^>]*\/tmp_insert_[^/>]*\/([^/>]+)>/)
  const at = (pattern: RegExp) => lines.findIndex((line) => pattern.test(line))
  const [log, rename] = [at(/ write\(\d+<[^>]*deduplication_log/), at(/ rename[^(]*\(.*tmp_insert_/)]
  const logSynced = at(/ f(?:data)?sync\(\d+<[^>]*deduplication_log/) >= 0
  const directorySynced = lines.findIndex(
    (line, index) => index > rename && /sync\(\d+<[^>]*\/[^/>]+_\d+_\d+_\d+>/.test(line),
  )
  const answer = lines.findIndex((line, index) => index > rename && / writev?\(\d+<(?:socket|TCP).*"HTTP/.test(line))
  const unsynced = [...written].filter((name) => !synced.has(name))
  return {
    saw: `${written.size} files written, ${synced.size} synced before the rename, not synced: ${unsynced.join(', ') || 'none'}; the log of tokens is written ${log < rename ? 'before' : 'after'} the rename and ${logSynced ? 'synced' : 'never synced'}; the part's directory is synced ${directorySynced > rename ? 'after the rename' : 'never'}${answer >= 0 ? `, ${directorySynced < answer ? 'before' : 'after'} the answer` : ''}`,
    holds:
      written.size > 0 && unsynced.length === 0 && directorySynced > rename && (answer < 0 || directorySynced < answer),
  }
}
