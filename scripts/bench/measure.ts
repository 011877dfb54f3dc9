import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Encoding } from './bodies.ts'
import { watchFreshness } from './freshness.ts'
import type { LoadPlan, LoadResult } from './generator.ts'
import { watchProcesses } from './processes.ts'
import type { Stack } from './stack.ts'

export interface Case {
  name: string
  eventsPerRequest: number
  encoding: Encoding
  connections: number
}

type Part = keyof Stack['pids']

/** One row of the report. Rates in events per second, times in milliseconds, memory in MB. */
export interface Row {
  name: string
  eventsPerRequest: number
  encoding: Encoding
  /** What a route takes that only parses and validates the same bodies. */
  ceilingPerSecond: number
  /** Admitted and on disk, while the sink is held as if it ran on another machine: what the door takes. */
  acceptedPerSecond: number
  /** `acceptedPerSecond` as a part of the ceiling. */
  shareOfCeiling: number
  /** Sustained with everything on this machine: acknowledged and queryable, until the last one was. */
  storedPerSecond: number
  /** From the last acknowledgement to the moment when everything was queryable. */
  drainMs: number
  /** At half of the rate that the whole stack took, in an open loop. */
  ackP50Ms: number
  ackP99Ms: number
  queryableP50Ms: number
  queryableP99Ms: number
  /** At the full rate. */
  ackP99AtFullRateMs: number
  cpuMicrosPerEvent: Record<Part | 'total' | 'generator', number>
  /** Of the API process, and of each. */
  rssMaxMb: number
  rssMaxMbByProcess: Record<Part, number>
  requests: number
  errors: number
}

const CEILING_MS = 3000
const WARM_UP_MS = 2000
/** Shorter than the lease of a sink. */
const HELD_MS = 3000
const LOAD_MS = 8000
const PACED_MS = 6000

/** Measures one case on the running stack: the ceiling before and after, the full rate, then half of it. */
export async function measure(stack: Stack, { connections, ...one }: Case): Promise<Row> {
  const { eventsPerRequest, encoding } = one
  const plan = { path: '/v1/events', key: stack.writeKey, eventsPerRequest, encoding, connections }
  const ceiling = (durationMs: number) => generate({ ...plan, port: stack.barePort, durationMs })
  const ours = (durationMs: number) => generate({ ...plan, port: stack.port, durationMs })
  const rate = ({ requests, durationMs }: LoadResult) => (requests * eventsPerRequest * 1000) / durationMs

  await ceiling(WARM_UP_MS / 2)
  const before = await ceiling(CEILING_MS)
  await ours(WARM_UP_MS)
  const settled = watchFreshness(stack)
  await settled.caughtUp()
  await settled.stop(0, 0)
  const door = await whileHeld(stack.pids.sink, () => ours(HELD_MS))
  const restored = watchFreshness(stack)
  await restored.caughtUp()
  await restored.stop(0, 0)

  const processes = watchProcesses(stack.pids)
  const freshness = watchFreshness(stack)
  const startedAtMs = Date.now()
  const full = await ours(LOAD_MS)
  const ackedAtMs = Date.now()
  const drainedAtMs = await freshness.caughtUp()
  const used = processes.stop()
  await freshness.stop(startedAtMs, ackedAtMs)

  const pacedFreshness = watchFreshness(stack)
  const pacedFromMs = Date.now()
  const paced = await generate({
    ...{ ...plan, port: stack.port, durationMs: PACED_MS },
    requestsPerSecond: rate(full) / eventsPerRequest / 2,
  })
  const pacedToMs = Date.now()
  await pacedFreshness.caughtUp()
  const queryable = await pacedFreshness.stop(pacedFromMs, pacedToMs)
  const after = await ceiling(CEILING_MS)

  const events = full.requests * eventsPerRequest
  const ceilingPerSecond = (rate(before) + rate(after)) / 2
  const perEvent = (micros: number) => micros / events
  const total = Object.values(used.cpuMicros).reduce((sum, micros) => sum + micros, 0)
  return {
    ...one,
    ceilingPerSecond,
    acceptedPerSecond: rate(door),
    shareOfCeiling: rate(door) / ceilingPerSecond,
    storedPerSecond: (events * 1000) / (full.durationMs + drainedAtMs - ackedAtMs),
    drainMs: drainedAtMs - ackedAtMs,
    ackP50Ms: paced.p50Ms,
    ackP99Ms: paced.p99Ms,
    queryableP50Ms: queryable.p50Ms,
    queryableP99Ms: queryable.p99Ms,
    ackP99AtFullRateMs: full.p99Ms,
    cpuMicrosPerEvent: {
      api: perEvent(used.cpuMicros.api),
      redis: perEvent(used.cpuMicros.redis),
      clickhouse: perEvent(used.cpuMicros.clickhouse),
      sink: perEvent(used.cpuMicros.sink),
      total: perEvent(total),
      generator: perEvent(full.cpuMicros),
    },
    rssMaxMb: used.rssMaxMb.api,
    rssMaxMbByProcess: used.rssMaxMb,
    requests: door.requests + full.requests + paced.requests,
    errors: before.errors + door.errors + full.errors + paced.errors + after.errors,
  }
}

async function whileHeld<T>(pid: number, run: () => Promise<T>): Promise<T> {
  process.kill(pid, 'SIGSTOP')
  try {
    return await run()
  } finally {
    process.kill(pid, 'SIGCONT')
  }
}

/** Runs the generator in a process of its own, new for each load, so that none inherits another's heap. */
async function generate(plan: LoadPlan): Promise<LoadResult> {
  const child = fork(fileURLToPath(new URL('generator.ts', import.meta.url)))
  child.send(plan)
  const exited = once(child, 'exit').then(() => Promise.reject(new Error('the generator ended without a result')))
  try {
    const [result] = (await Promise.race([once(child, 'message'), exited])) as [LoadResult | { failure: string }]
    if ('failure' in result) throw new Error(`the generator failed: ${result.failure}`)
    return result
  } finally {
    exited.catch(() => {
      // It has been told to end.
    })
    child.disconnect()
  }
}
