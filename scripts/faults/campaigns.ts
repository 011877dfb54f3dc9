import type { Random } from '../clickstream/random.ts'
import {
  CLICKHOUSE_DOWN_10_MIN,
  CRASH_POINTS,
  POINTS,
  RANDOM_KILL,
  RANDOM_STOP,
  SHORTAGES,
  type Step,
  VARIANTS,
  WIRES,
} from './points.ts'

export interface Campaign {
  eventsPerSecond: number
  /** In the order of execution. */
  steps: Step[]
}

/** Start, drain, check and stop. */
const UNAVOIDABLE_MS = 30_000

export const CAMPAIGNS = {
  /** Every crash point once: what CI runs. */
  short: (random: Random): Campaign => ({
    eventsPerSecond: 1000,
    steps: shuffled(random, [...CRASH_POINTS, ...times(3, [RANDOM_KILL]), ...shuffled(random, WIRES).slice(0, 1)]),
  }),
  /** At least 200 kills, every crash point ten times, every shortage. */
  standard: (random: Random): Campaign => ({
    eventsPerSecond: 1000,
    steps: [
      ...shuffled(random, [
        ...times(10, [...CRASH_POINTS, ...VARIANTS]),
        ...times(60, [RANDOM_KILL]),
        ...times(8, [RANDOM_STOP]),
        ...times(2, WIRES),
      ]),
      ...SHORTAGES,
    ],
  }),
  /** More than 1,000 kills. */
  nightly: (random: Random): Campaign => ({
    eventsPerSecond: 1500,
    steps: [
      ...shuffled(random, [
        ...times(30, [...CRASH_POINTS, ...VARIANTS]),
        ...times(400, [RANDOM_KILL]),
        ...times(40, [RANDOM_STOP]),
        ...times(8, WIRES),
      ]),
      CLICKHOUSE_DOWN_10_MIN,
      ...times(3, SHORTAGES),
    ],
  }),
} satisfies Record<string, (random: Random) => Campaign>
export type CampaignName = keyof typeof CAMPAIGNS

/** Only what is named, each so often; a name is the beginning of a fault's name. Throws on one that fits nothing. */
export function campaignOf(names: readonly string[], count: number, eventsPerSecond = 1000): Campaign {
  const chosen = names.flatMap((name) => {
    const fitting = POINTS.filter((point) => point.name.startsWith(name))
    if (fitting.length > 0) return fitting
    throw new Error(`No fault begins with "${name}"; there are:\n  ${POINTS.map((point) => point.name).join('\n  ')}`)
  })
  return { eventsPerSecond, steps: times(count, chosen) }
}

export function estimateMs({ steps }: Campaign): number {
  return steps.reduce((sum, step) => sum + step.estimateMs, UNAVOIDABLE_MS)
}

function times<T>(count: number, items: readonly T[]): T[] {
  return Array.from({ length: count }, () => items).flat()
}

function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const keyed = items.map((item) => ({ item, key: random.next() }))
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item)
}
