import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { processIdentity, readRunningProcess } from '../process-identity.js'

export interface ProcessCommand {
  name: string
  /** Program and arguments; they must name the same address at every start, as clients keep it. */
  command: readonly string[]
  /** The name the program finds itself called by, where it differs from its file's name. */
  calledAs?: string
  environment?: NodeJS.ProcessEnv
  workingDirectory: string
  /** Where the output goes; `inherit` shows it on the launcher's own. */
  logFile: string | 'inherit'
  pidFile: string
  stopSignal: NodeJS.Signals
  stopTimeoutMs: number
}

export interface RunningProcess {
  pid: number | undefined
  startedAt: number
  exited: Promise<void>
  isOver: () => boolean
  hasSucceeded: () => boolean
  /** How it ended, in words. */
  ending: () => string
  end: () => Promise<void>
  kill: () => void
}

const logBytesMax = 5_000_000
const leftoverGraceMs = 6000

/**
 * Starts a process in a session of its own, so that a Ctrl-C at the terminal cannot take it down before those who use
 * it, and with a watchdog, so that it ends when this process ends, however that happens.
 */
export function runProcess(plan: ProcessCommand): RunningProcess {
  const [program = '', ...parameters] = plan.command
  const log = plan.logFile === 'inherit' ? 'inherit' : openLog(plan.logFile)
  const child = spawn(program, parameters, {
    argv0: plan.calledAs ?? program,
    cwd: plan.workingDirectory,
    env: plan.environment ?? process.env,
    detached: true,
    // The open stdin pipe is a second sign of life, for programs that care to watch it.
    stdio: ['pipe', log, log],
  })
  if (typeof log === 'number') closeSync(log)
  child.stdin?.on('error', () => {
    // A broken pipe only says that the process is gone, which its exit reports better.
  })
  if (child.pid !== undefined) recordProcess(plan.pidFile, child.pid)
  return { pid: child.pid, startedAt: Date.now(), ...observe(child, plan) }
}

function observe(child: ChildProcess, plan: ProcessCommand): Omit<RunningProcess, 'pid' | 'startedAt'> {
  const dismissWatchdog = watchdog(child, plan.stopSignal)
  let ending: string | undefined
  const exited = new Promise<void>((resolve) => {
    const settle = (how: string) => {
      ending ??= how
      dismissWatchdog()
      resolve()
    }
    child.once('error', (error) => settle(error.message))
    child.once('exit', (code, signal) => settle(signal ?? `exit code ${code}`))
  })
  return {
    exited,
    isOver: () => ending !== undefined,
    hasSucceeded: () => child.exitCode === 0,
    ending: () => ending ?? 'still running',
    async end() {
      if (ending === undefined) {
        child.kill(plan.stopSignal)
        const force = setTimeout(() => child.kill('SIGKILL'), plan.stopTimeoutMs)
        await exited
        clearTimeout(force)
      }
      rmSync(plan.pidFile, { force: true })
    },
    kill: () => child.kill('SIGKILL'),
  }
}

/**
 * Ends the process of an earlier launcher that was killed before it could. To be called before the process's address
 * is looked at, as it still holds it.
 */
export async function endLeftover(pidFile: string, signal: NodeJS.Signals): Promise<void> {
  const leftover = readRunningProcess(pidFile)
  if (!leftover) return
  const isRunning = () => processIdentity(leftover.pid) === leftover.identity
  const deadline = Date.now() + leftoverGraceMs
  sendSignal(leftover.pid, signal)
  while (isRunning()) {
    if (Date.now() > deadline) sendSignal(leftover.pid, 'SIGKILL')
    await delay(20)
  }
}

/** The last lines of a process's log, for the message that says why it did not start. */
export function logTail(plan: ProcessCommand): string {
  if (plan.logFile === 'inherit') return ''
  const lines = readFileSync(plan.logFile, 'utf8').trimEnd().split('\n').slice(-8)
  return `\n  ${lines.join('\n  ')}\n  (from ${plan.logFile})`
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended between the look and the signal, which is what was wanted.
  }
}

/**
 * A shell that does nothing but hold a pipe from this process. When the launcher dies in a way it cannot answer
 * (kill -9, out of memory) the pipe closes and the shell ends the process on its behalf: first asking, then not.
 */
function watchdog(child: ChildProcess, signal: NodeJS.Signals): () => void {
  if (child.pid === undefined) return () => undefined
  const script = `read -r _; kill -${signal.slice(3)} "$0" || exit 0
    for _ in 1 2 3 4 5 6 7 8 9; do sleep 1; kill -0 "$0" || exit 0; done; kill -KILL "$0"`
  const dog = spawn('/bin/sh', ['-c', script, String(child.pid)], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  dog.on('error', () => {
    // Without a shell the next start still finds the process by its pid file and ends it.
  })
  return () => dog.kill('SIGKILL')
}

function recordProcess(pidFile: string, pid: number): void {
  const identity = processIdentity(pid)
  if (identity !== undefined) writeFileSync(pidFile, JSON.stringify({ pid, identity }), { mode: 0o600 })
}

function openLog(path: string): number {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > logBytesMax) renameSync(path, `${path}.1`)
  return openSync(path, 'a', 0o600)
}
