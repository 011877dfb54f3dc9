import { type Check, checksOf } from './checks.ts'
import type { Ledger } from './ledger.ts'
import { runOf, type StreamPlan } from './plan.ts'
import type { AskTrend, TrendAnswer, TrendQuery } from './query-client.ts'

const WARM_RUNS = 11

export interface CheckResult {
  query: string
  /** `others too`, `differs`: asked of the whole project, where events of others may add up and crowd small groups out. */
  exact: 'yes' | 'NO' | 'others too' | 'differs'
  /** Set where the answer is at fault. */
  difference?: string
  medianMs: number
  p95Ms: number
  cached: boolean
}

/**
 * Holds the query API's answers against the ledger, to the last event and cent, and times them warm. Every query is asked twice: of
 * this stream alone, by a filter on `context.library.run`, where each difference is a fault; and of the whole project, as an analyst
 * would, where a difference is no fault, because the project may hold other events too.
 */
export async function* verify(plan: StreamPlan, ledger: Ledger, ask: AskTrend): AsyncGenerator<CheckResult> {
  const filters = [{ field: 'context.library.run', operator: 'eq' as const, value: runOf(plan) }]
  for (const check of checksOf(plan, ledger)) {
    const [series] = check.query.series
    yield await run(check, ask)
    const ownQuery = { ...check.query, series: [{ ...series, filters }] } as TrendQuery
    yield await run({ ...check, name: `${check.name}, this stream only`, query: ownQuery, strict: true }, ask)
  }
}

async function run(check: Check, ask: AskTrend): Promise<CheckResult> {
  // The first answer is the one that is checked; it also warms what there is to warm.
  const { answer } = await ask(check.query)
  const differences = differencesOf(check.expected, valuesOf(answer, check))
  const timesMs: number[] = []
  let cached = false
  for (let i = 0; i < WARM_RUNS; i++) {
    const warm = await ask(check.query)
    timesMs.push(warm.elapsedMs)
    cached ||= warm.answer.meta.cached
  }
  timesMs.sort((a, b) => a - b)
  return {
    query: check.name,
    exact: gradeOf(differences, check.strict),
    difference: check.strict && differences.length > 0 ? explain(differences) : undefined,
    medianMs: percentile(timesMs, 0.5),
    p95Ms: percentile(timesMs, 0.95),
    cached,
  }
}

/** `{breakdown value} {day}` or `{breakdown value} total` → value. A group that is answered twice counts twice, and so shows. */
function valuesOf({ data }: TrendAnswer, { unit, totalsOnly }: Check): Map<string, number> {
  const values = new Map<string, number>()
  const add = (key: string, value: number) => values.set(key, (values.get(key) ?? 0) + unit(value))
  for (const { breakdown, total, points } of data) {
    const name = breakdown ? String(Object.values(breakdown)[0]) : ''
    add(`${name} total`, total)
    if (totalsOnly) continue
    for (const { time, value } of points) add(`${name} ${time.slice(0, 10)}`, value)
  }
  return values
}

interface Difference {
  key: string
  sent: number
  answered: number
}

/** Absent is zero: the ledger has no row for a day on which nothing happened. */
function differencesOf(expected: Map<string, number>, answered: Map<string, number>): Difference[] {
  return [...new Set([...expected.keys(), ...answered.keys()])]
    .map((key) => ({ key: key.trim(), sent: expected.get(key) ?? 0, answered: answered.get(key) ?? 0 }))
    .filter(({ sent, answered }) => sent !== answered)
}

function gradeOf(differences: Difference[], strict: boolean): CheckResult['exact'] {
  if (differences.length === 0) return 'yes'
  if (strict) return 'NO'
  return differences.every(({ sent, answered }) => answered > sent) ? 'others too' : 'differs'
}

function explain([first, ...more]: Difference[]): string {
  const rest = more.length > 0 ? `, and ${more.length} more differences` : ''
  return `${first?.key}: sent ${first?.sent}, answered ${first?.answered}${rest}`
}

/** Nearest rank. */
function percentile(sorted: number[], share: number): number {
  return sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN
}
