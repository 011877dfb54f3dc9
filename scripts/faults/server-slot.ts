import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../embedded/ports.ts'
import { answersOk } from '../embedded/probes.ts'
import { type RunningProcess, runProcess } from '../embedded/running-process.ts'

export interface ServerSlot {
  name: string
  url: string
  logFile: string
  pid: () => number | undefined
  starts: () => number
  /** Gives the next process, and only that one, these failpoints. */
  armNext: (failpoints: string) => void
  kill: () => void
  /** Resolves when the process that runs now has ended; false when it has not within the time. */
  ends: (timeoutMs: number) => Promise<boolean>
  isServing: () => Promise<boolean>
  /** Keeps a process that ended from being started again until `release`. */
  hold: () => void
  release: () => void
  stop: () => Promise<void>
}

const SERVER = fileURLToPath(new URL('../../src/server.ts', import.meta.url))
const RESTART_PAUSE_MS = 50

/** One place of a server process: whatever ends the process, another is started there, on the same port, as a supervisor would. */
export async function openSlot(
  name: string,
  directory: string,
  environment: Record<string, string>,
  log: (line: string) => void,
): Promise<ServerSlot> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const logFile = join(directory, `${name}.log`)
  let armed = ''
  let starts = 0
  let isStopped = false
  let held: { promise: Promise<void>; resolve: () => void } | undefined
  let running: RunningProcess = start()
  void keepAlive()

  function start(): RunningProcess {
    const failpoints = armed
    armed = ''
    starts += 1
    return runProcess({
      name,
      command: [process.execPath, SERVER],
      environment: { ...process.env, ...environment, PORT: String(port), METERHOUSE_FAILPOINTS: failpoints },
      workingDirectory: directory,
      logFile,
      pidFile: join(directory, `${name}.pid`),
      stopSignal: 'SIGTERM',
      stopTimeoutMs: 10_000,
    })
  }
  async function keepAlive(): Promise<void> {
    for (;;) {
      await running.exited
      if (isStopped) return
      if (running.ending() !== 'SIGKILL') log(`${name} ended by itself: ${running.ending()}`)
      await delay(RESTART_PAUSE_MS)
      await held?.promise
      if (isStopped) return
      running = start()
    }
  }
  const isServing = () => answersOk(`${url}/health/live`).catch(() => false)

  return {
    name,
    url,
    logFile,
    pid: () => (running.isOver() ? undefined : running.pid),
    starts: () => starts,
    armNext(failpoints) {
      armed = failpoints
    },
    kill: () => running.kill(),
    ends: (timeoutMs) => within(running.exited, timeoutMs),
    isServing,
    hold() {
      held ??= Promise.withResolvers<void>()
    },
    release() {
      held?.resolve()
      held = undefined
    },
    async stop() {
      isStopped = true
      held?.resolve()
      await running.end()
    },
  }
}

/** Lines that failpoints wrote, by name: how often each acted. */
export function failpointsPassed(logFiles: string[]): Record<string, number> {
  const passed: Record<string, number> = {}
  for (const file of logFiles) {
    for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(/^failpoint ([a-z.-]+): /gm)) {
      passed[name] = (passed[name] ?? 0) + 1
    }
  }
  return passed
}

export async function within(work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const patience = new AbortController()
  const late = delay(timeoutMs, false, { signal: patience.signal }).catch(() => false)
  const isDone = await Promise.race([work.then(() => true), late])
  patience.abort()
  return isDone
}

/** Polls until the probe says yes; false when it has not within the time. */
export async function until(
  probe: () => Promise<boolean> | boolean,
  timeoutMs: number,
  intervalMs = 25,
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    if (await probe()) return true
    if (performance.now() > deadline) return false
    await delay(intervalMs)
  }
}
