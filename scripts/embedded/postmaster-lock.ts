import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { processIdentity } from '../process-identity.js'

/**
 * PostgreSQL's own lock holds a bare pid, so after a crash it can mistake a stranger with the same number, or a zombie
 * that nobody collects (as in a container without init), for a running server. Where that is so, the lock is given our
 * own number: PostgreSQL takes a lock that names its parent for stale, and still makes sure by the shared memory that
 * no session of the old server is left.
 */
export function disarmStaleLock(cluster: string): void {
  const file = join(cluster, 'postmaster.pid')
  let lines: string[]
  try {
    lines = readFileSync(file, 'utf8').split('\n')
  } catch {
    // No lock: the server was stopped in good order.
    return
  }
  const pid = Number(lines[0])
  if (processIdentity(pid) !== undefined && commandLine(pid).includes(cluster)) return
  writeFileSync(file, [process.pid, ...lines.slice(1)].join('\n'))
}

function commandLine(pid: number): string {
  try {
    return process.platform === 'linux'
      ? readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      : execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' })
  } catch {
    // It ended between the two looks.
    return ''
  }
}
