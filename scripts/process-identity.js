import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

/**
 * Plain JavaScript, because the launcher needs it under whatever Node the machine has.
 *
 * @typedef {{ pid: number, identity: string, note?: string }} ProcessRecord
 */

/**
 * Names one run of one process, or is undefined when no such process runs. A pid alone is not enough to believe or to
 * signal anybody: after a crash the system may have given it to a stranger, so the moment of birth goes with it.
 *
 * @param {number} pid
 * @returns {string | undefined}
 */
export function processIdentity(pid) {
  try {
    return process.platform === 'linux' ? linuxIdentity(pid) : portableIdentity(pid)
  } catch {
    // Neither /proc nor `ps` knows the pid: no such process.
    return undefined
  }
}

/**
 * Reads a file that names a process and answers only if that very process is still running.
 *
 * @param {string} path
 * @returns {ProcessRecord | undefined}
 */
export function readRunningProcess(path) {
  return runningProcess(existsSync(path) ? readFileSync(path, 'utf8') : undefined)
}

/**
 * @param {string | undefined} text What such a file holds.
 * @returns {ProcessRecord | undefined}
 */
export function runningProcess(text) {
  try {
    /** @type {ProcessRecord} */
    const holder = JSON.parse(text ?? '')
    return holder.identity !== '' && processIdentity(holder.pid) === holder.identity ? holder : undefined
  } catch {
    // Absent or cut off by a crash in the middle of the write: either way it names nobody.
    return undefined
  }
}

/** @param {number} pid */
function linuxIdentity(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The command's name may hold spaces and brackets, so fields are counted from behind its last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined
  return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:${fields[19]}`
}

/** @param {number} pid */
function portableIdentity(pid) {
  const output = execFileSync('ps', ['-o', 'state=,lstart=', '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' })
  const [state, ...start] = output.trim().split(/\s+/)
  return state === undefined || state.startsWith('Z') ? undefined : start.join(' ')
}
