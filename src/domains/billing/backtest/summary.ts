import type { PlanTerms } from '../catalog/plan.ts'
import type { Backtest, ComparedPeriod } from './compared.ts'
import type { BacktestResult, FleetBacktestResult } from './schemas.ts'

const LARGEST_MAX = 20

const sumOf = (periods: readonly ComparedPeriod[]) => ({
  billed: periods.reduce((sum, { billed }) => sum + billed, 0n),
  draft: periods.reduce((sum, { draft }) => sum + draft, 0n),
})

const sumTexts = ({ billed, draft }: { billed: bigint; draft: bigint }) => ({
  billed: billed.toString(),
  draft: draft.toString(),
  difference: (draft - billed).toString(),
})

/** A back-test as people read it. */
export const toResult = ({ periods, skipped }: Backtest, { currency }: PlanTerms): BacktestResult => ({
  currency,
  ...sumTexts(sumOf(periods)),
  periods: periods.map(({ periodId, startsAt, endsAt, planKey, planVersion, isCustom, lines, ...amounts }) => ({
    periodId,
    startsAt: startsAt.toISOString(),
    endsAt: endsAt.toISOString(),
    plan: { key: planKey, version: planVersion, isCustom },
    ...sumTexts(amounts),
    lines: lines.map(({ kind, description, meter, quantity, amount }) => ({
      ...{ kind, description, meter, quantity, amount },
    })),
  })),
  skipped,
})

/** Adds up what everybody would have paid, keeping no more than the largest differences. */
export async function toFleetResult(
  backtests: AsyncIterable<Backtest & { organizationId: string }>,
  { currency }: PlanTerms,
): Promise<FleetBacktestResult> {
  const total = { billed: 0n, draft: 0n }
  const counts = { organizations: 0, periods: 0, winners: 0, losers: 0, unchanged: 0 }
  const skippedPeriods = { interval: 0, currency: 0, meter: 0 }
  let largest: { organizationId: string; billed: bigint; draft: bigint }[] = []
  for await (const { organizationId, periods, skipped } of backtests) {
    for (const { reason } of skipped) skippedPeriods[reason] += 1
    if (periods.length === 0) continue
    const own = sumOf(periods)
    total.billed += own.billed
    total.draft += own.draft
    counts.organizations += 1
    counts.periods += periods.length
    counts[own.draft < own.billed ? 'winners' : own.draft > own.billed ? 'losers' : 'unchanged'] += 1
    if (own.draft === own.billed) continue
    largest = [...largest, { organizationId, ...own }].toSorted(byDifference).slice(0, LARGEST_MAX)
  }
  return {
    currency,
    ...counts,
    skippedPeriods,
    ...sumTexts(total),
    largest: largest.map(({ organizationId, ...amounts }) => ({ organizationId, ...sumTexts(amounts) })),
  }
}

type Amounts = { billed: bigint; draft: bigint }
const sizeOf = ({ billed, draft }: Amounts) => (draft > billed ? draft - billed : billed - draft)
const byDifference = (one: Amounts, other: Amounts) => (sizeOf(one) > sizeOf(other) ? -1 : 1)
