import { inFlight, jobsDie, probeDies, sinkDies, sinkSleeps } from './crash-points.ts'
import { clickhouseDown, killAtRandom, stopAtRandom } from './kills.ts'
import { powerCut } from './power.ts'
import type { Fault } from './scene.ts'
import { diskFull, memoryFull } from './shortages.ts'
import { apiDies, bufferDies, storeDies, tokenWithoutRows } from './timed-kills.ts'
import { disturb } from './wires.ts'

/** One entry of a campaign. */
export interface Step {
  name: string
  fault: Fault
  estimateMs: number
  /** Whether it is for one moment, and so is made again when it misses that. */
  isAimed: boolean
}

const step = (name: string, estimateMs: number, fault: Fault): Step => ({
  name,
  fault,
  estimateMs,
  isAimed: /^C\d/.test(name),
})

/** The rows of "If this dies here" in ARCHITECTURE.md that can be reached from outside or by a failpoint. C5 ends every campaign. */
export const CRASH_POINTS: Step[] = [
  step('C1 API dies before the script', 1500, apiDies('head')),
  step('C2 API dies after the script, before 202', 1500, apiDies('reply')),
  step('C3 Redis dies at its fsync', 2000, bufferDies('head')),
  step('C4 Redis dies after its fsync, before its reply', 2000, bufferDies('reply')),
  step('C6 sink dies before sealing', 3500, sinkDies('sink.gathered')),
  step('C7 sink dies sealed, insert not sent', 3500, sinkDies('sink.sealed')),
  step('C8 sink dies with the insert in flight', 3500, sinkDies('deposit.sending', inFlight)),
  step('C9 token known, rows absent', 2000, tokenWithoutRows),
  step('C9/C10 ClickHouse dies while it stores', 3500, storeDies('end')),
  step('C10 ClickHouse dies before its answer', 3500, storeDies('reply')),
  step('C11 sink dies after the insert, before the cursor', 3500, sinkDies('sink.stored')),
  step('C12 sink sleeps sealed, wakes as a zombie', 6500, sinkSleeps('sink.sealed')),
  step('C13 usage job dies between count and commit', 4000, jobsDie('usage.counted')),
  step('C15 power cut', 6000, powerCut),
]

/** Neighbors of the crash points above. */
export const VARIANTS: Step[] = [
  step('C7 the same, and its heir dies probing', 5000, probeDies),
  step('C11 sink dies after the cursor, before trimming', 3500, sinkDies('sink.released')),
  step('C13 usage job dies after the commit, hours still marked', 4000, jobsDie('usage.written')),
  step('C12 sink sleeps after the insert, wakes as a zombie', 6500, sinkSleeps('sink.stored')),
]

export const RANDOM_KILL = step('random kill -9', 1000, killAtRandom)
export const RANDOM_STOP = step('random SIGSTOP and SIGCONT', 4500, stopAtRandom)

export const WIRES: Step[] = (['reset', 'refuse', 'blackhole', 'swallow', 'cut', 'latency'] as const).map((kind) =>
  step(`wire: ${kind}`, 5500, disturb(kind)),
)

export const SHORTAGES: Step[] = [
  step('ClickHouse down for 2 min', 130_000, clickhouseDown(120_000)),
  step('Redis at maxmemory', 45_000, memoryFull),
  step('disk of the append-only file full', 25_000, diskFull),
]

export const CLICKHOUSE_DOWN_10_S = step('ClickHouse down for 10 s', 14_000, clickhouseDown(10_000))
export const CLICKHOUSE_DOWN_10_MIN = step('ClickHouse down for 10 min', 660_000, clickhouseDown(600_000))

export const POINTS: readonly Step[] = [
  ...CRASH_POINTS,
  ...VARIANTS,
  RANDOM_KILL,
  RANDOM_STOP,
  ...WIRES,
  ...SHORTAGES,
  CLICKHOUSE_DOWN_10_S,
  CLICKHOUSE_DOWN_10_MIN,
]
