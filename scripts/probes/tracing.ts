import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

export const hasStrace = () => spawnSync('strace', ['-V']).status === 0

const ATTACH_DEADLINE_MS = 10_000
const POLL_MS = 20

/**
 * Watches the system calls of a process and all its threads until `detach`. Strace says on stderr when it has attached;
 * what it injects counts from then on.
 */
export async function trace(pid: number, file: string, filters: string[]) {
  const strace = spawn('strace', ['-f', '-y', '-s', '16', '-o', file, ...filters, '-p', String(pid)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = once(strace, 'exit')
  let said = ''
  strace.stderr.on('data', (chunk) => {
    said += String(chunk)
  })
  const deadline = Date.now() + ATTACH_DEADLINE_MS
  while (!said.includes('attached')) {
    if (strace.exitCode !== null || Date.now() > deadline) throw new Error(`strace could not attach: ${said}`)
    await delay(POLL_MS)
  }
  return {
    /** The calls that were seen, a line each, in the order in which they began or ended. */
    async detach(): Promise<string[]> {
      strace.kill('SIGINT')
      await ended
      return existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
    },
  }
}
