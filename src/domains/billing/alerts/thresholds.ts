import type { MeterOutlook, Outlook } from '../outlook/outlook.ts'

export type AlertKind = 'percent' | 'quantity' | 'spend' | 'pace'

export interface Threshold {
  kind: AlertKind
  /** Empty for what is about money. */
  meterKey: string
  threshold: bigint
}

/** A threshold with what crossed it. */
export interface Crossing extends Threshold {
  value: bigint
  /** What percent are of. */
  whole: bigint | null
}

const BUILT_IN: Omit<Threshold, 'meterKey'>[] = [
  ...[50n, 80n, 90n, 100n].map((threshold) => ({ kind: 'percent' as const, threshold })),
  { kind: 'pace', threshold: 100n },
]
/** A forecast says too little before the tenth part of the period. */
const PACE_FROM = 10

/** What everybody is told of: shares of what is limited or included, and that it will not last. */
export const builtInOf = (meterKeys: readonly string[]): Threshold[] =>
  meterKeys.flatMap((meterKey) => BUILT_IN.map((one) => ({ ...one, meterKey })))

export const isSame = (one: Threshold, other: Threshold): boolean =>
  one.kind === other.kind && one.meterKey === other.meterKey && one.threshold === other.threshold

/** Which of the thresholds a period is beyond, lowest first. `spend` is what it comes to so far, where anybody asked for it. */
export function crossingsOf(thresholds: readonly Threshold[], outlook: Outlook, spend: bigint | null): Crossing[] {
  const found = thresholds.flatMap((threshold): Crossing[] => {
    if (threshold.kind === 'spend')
      return spend !== null && spend >= threshold.threshold ? [{ ...threshold, value: spend, whole: null }] : []
    const meter = outlook.meters.find(({ meter }) => meter === threshold.meterKey)
    const value = meter && valueBeyond(threshold, meter, outlook)
    return value === undefined ? [] : [{ ...threshold, value, whole: meter?.whole?.quantity ?? null }]
  })
  return found.sort(byPlace)
}

function valueBeyond({ kind, threshold }: Threshold, meter: MeterOutlook, { now, period }: Outlook) {
  const { used, whole, forecast } = meter
  if (kind === 'quantity') return used >= threshold ? used : undefined
  if (!whole) return undefined
  const isBeyond = (quantity: bigint) => quantity * 100n >= whole.quantity * threshold
  if (kind === 'percent') return isBeyond(used) ? used : undefined
  const [passedMs, wholeMs] = [+now - +period.usageFrom, +period.usageTo - +period.usageFrom]
  // What has happened needs no forecast.
  if (!forecast || isBeyond(used) || passedMs * PACE_FROM < wholeMs) return undefined
  return isBeyond(forecast.expected) ? forecast.expected : undefined
}

/**
 * Which of several crossings is told by mail: of each meter and kind the highest. Nobody is told twice that events are used up, which
 * the quota does.
 */
export function isTold(crossing: Crossing, all: readonly Crossing[], { meters }: Outlook): boolean {
  const { kind, meterKey, threshold } = crossing
  const isHighest = !all.some(
    (other) => other.kind === kind && other.meterKey === meterKey && other.threshold > threshold,
  )
  const isQuotas =
    kind === 'percent' && threshold === 100n && meters.some((one) => one.meter === meterKey && one.isDoors)
  return isHighest && !isQuotas
}

/** Rows are written in this order by everybody, so that two processes wait for one another and never for each other. */
const byPlace = (one: Crossing, other: Crossing) =>
  compare(one.meterKey, other.meterKey) || compare(one.kind, other.kind) || compare(one.threshold, other.threshold)

const compare = <Value extends string | bigint>(one: Value, other: Value) => (one < other ? -1 : one > other ? 1 : 0)
