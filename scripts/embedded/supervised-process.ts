import { setTimeout as delay } from 'node:timers/promises'
import { logTail, type ProcessCommand, type RunningProcess, runProcess } from './running-process.ts'

export interface ProcessPlan extends ProcessCommand {
  readyTimeoutMs: number
  /** Asked again and again until it says yes. It may reject, which counts as no. */
  isReady: () => Promise<boolean>
}

export interface SupervisedProcess {
  pid: () => number | undefined
  /** Ends the process and waits for it. Harmless to call twice. */
  stop: () => Promise<void>
  /** Ends the process without asking or waiting. */
  kill: () => void
}

/** What every service gets from whoever starts it. */
export interface Surroundings {
  /** Receives a line when a process died by itself, and when it is back. */
  log: (line: string) => void
  /** Gives up a start that is under way. */
  signal?: AbortSignal
  /** Longest pause before a process that ended by itself is started again. */
  restartPauseMaxMs?: number
}

const firstRetryMs = 200
const defaultRestartPauseMaxMs = 10_000
/** A process that served this long is no longer counted as one that fails again and again. */
const steadyAfterMs = 30_000

/**
 * Starts a process, waits until it serves, and from then on brings it back, on the same address, whenever it ends by
 * itself. Once `stop` was called nothing is started any more.
 */
export async function superviseProcess(plan: ProcessPlan, surroundings: Surroundings): Promise<SupervisedProcess> {
  const stopping = new AbortController()
  const isGivenUp = () => stopping.signal.aborted || (surroundings.signal?.aborted ?? false)
  let current = runProcess(plan)
  const fault = await untilReady(plan, current, isGivenUp)
  if (fault !== undefined) {
    await current.end()
    throw new Error(`${plan.name} did not start: ${fault}`)
  }

  async function keepAlive(): Promise<void> {
    const waitMaxMs = surroundings.restartPauseMaxMs ?? defaultRestartPauseMaxMs
    for (let waitMs = Math.min(firstRetryMs, waitMaxMs); ; waitMs = Math.min(waitMs * 2, waitMaxMs)) {
      await current.exited
      if (stopping.signal.aborted) return
      if (Date.now() - current.startedAt > steadyAfterMs) waitMs = firstRetryMs
      surroundings.log(`${plan.name} ended unexpectedly (${current.ending()}); starting it again`)
      // Rejects when `stop` was called meanwhile, which the next line sees by itself.
      await delay(waitMs, undefined, { signal: stopping.signal }).catch(() => undefined)
      if (stopping.signal.aborted) return
      current = runProcess(plan)
      const fault = await untilReady(plan, current, isGivenUp)
      if (stopping.signal.aborted) return
      if (fault === undefined) surroundings.log(`${plan.name} is back`)
      else await current.end()
    }
  }

  void keepAlive()
  return {
    pid: () => current.pid,
    async stop() {
      stopping.abort()
      await current.end()
    },
    kill() {
      stopping.abort()
      current.kill()
    },
  }
}

/** Answers undefined once the process serves, else why it does not. */
async function untilReady(
  plan: ProcessPlan,
  running: RunningProcess,
  isGivenUp: () => boolean,
): Promise<string | undefined> {
  const deadline = Date.now() + plan.readyTimeoutMs
  while (!running.isOver()) {
    if (isGivenUp()) return 'it was told to stop'
    // A refused connection is the normal answer of a program that is still starting.
    if (await plan.isReady().catch(() => false)) return undefined
    if (Date.now() > deadline) return `no answer within ${plan.readyTimeoutMs / 1000} s${logTail(plan)}`
    await delay(20)
  }
  return `${running.ending()}${logTail(plan)}`
}
