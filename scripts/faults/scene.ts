import { readFileSync } from 'node:fs'
import type { Random } from '../clickstream/random.ts'
import type { Observer } from './observer.ts'
import { until } from './server-slot.ts'
import type { Member, ServiceName, Stack } from './stack.ts'
import type { Traffic } from './traffic.ts'

/** One fault as it happened. */
export interface FaultRecord {
  /** Name of the fault in the campaign. */
  point: string
  target: string
  startMs: number
  /** When whatever was wrong was over: a killed process may start again, a stopped one goes on. */
  endMs: number
  kills: number
  /** Whether it struck where it was aimed at. */
  landed: boolean
  note?: string
}

export interface Scene {
  /** Name of the fault that is being made. */
  point: string
  /** What the ids of its events begin with. */
  run: string
  stack: Stack
  traffic: Traffic
  observer: Observer
  random: Random
  faults: FaultRecord[]
  /** Reasons for what could not be done here. */
  skipped: string[]
}

export type Fault = (scene: Scene) => Promise<void>

const CALM_MS = 20_000
export const CALM_LAG_MS = 5000

/** Runs one fault and writes down what came of it. */
export async function strike(
  scene: Scene,
  target: string,
  fault: () => Promise<{ kills: number; landed: boolean; note?: string; endMs?: number }>,
): Promise<FaultRecord> {
  const startMs = Date.now()
  const { endMs = Date.now(), ...outcome } = await fault()
  const record = { point: scene.point, target, startMs, endMs, ...outcome }
  scene.faults.push(record)
  return record
}

/** Waits until events are acknowledged again and the store is close behind. */
export async function calm({ traffic, observer }: Scene, events = 200): Promise<void> {
  await traffic.moreAcknowledged(events, CALM_MS)
  await until(() => (observer.lagMs() ?? Number.POSITIVE_INFINITY) < CALM_LAG_MS, CALM_MS)
}

/** Ends a service's process without warning; its supervisor starts it again. False when it was not running. */
export function killService({ stack }: Scene, name: ServiceName): boolean {
  const pid = stack.pidOf(name)
  return pid !== undefined && signal(pid, 'SIGKILL')
}

export function killMember({ slot }: Member): boolean {
  const pid = slot.pid()
  return pid !== undefined && signal(pid, 'SIGKILL')
}

export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name)
    return true
  } catch {
    // It was dead already, which the caller counts as a miss.
    return false
  }
}

/** The scheduler's letter for a process: T is stopped, Z has ended and was not waited for; undefined when it is gone. */
export function processState(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1').match(/\) (\w)/)?.[1]
  } catch {
    return undefined
  }
}

/** A sink's lease runs out at once, which a crash-point series could wait five seconds for each time. The epoch still rises. */
export async function expireLeases({ stack }: Scene): Promise<void> {
  const keys = await stack.buffer.keys('mh:*lease*')
  if (keys.length > 0) await stack.buffer.del(...keys)
}
