import type { LedgerLine } from './ledger.ts'
import type { LagSample } from './observer.ts'
import { CALM_LAG_MS, type FaultRecord } from './scene.ts'

export interface Recovery {
  point: string
  times: number
  landed: number
  kills: number
  /** Fault end → first acknowledgement of a request that was sent after it began, ms. */
  firstAckMs: { median: number; worst: number }
  /** Fault end → the store is less than 5 s behind, ms. */
  lagMs: { median: number; worst: number }
}

/** One row per kind of fault. */
export function recoveries(faults: FaultRecord[], lines: LedgerLine[], lag: LagSample[]): Recovery[] {
  const acks = lines
    .flatMap((line) =>
      line.kind === 'answer' && 'verdicts' in line.outcome ? [{ sentMs: line.sentMs, atMs: line.atMs }] : [],
    )
    .sort((a, b) => a.atMs - b.atMs)
  const points = [...new Set(faults.map(({ point }) => point))]
  return points.map((point) => {
    const ofPoint = faults.filter((fault) => fault.point === point)
    const landed = ofPoint.filter((fault) => fault.landed)
    return {
      point,
      times: ofPoint.length,
      landed: landed.length,
      kills: ofPoint.reduce((sum, { kills }) => sum + kills, 0),
      firstAckMs: spread(landed.map((fault) => firstAckMs(fault, acks))),
      lagMs: spread(landed.map((fault) => calmMs(fault, lag))),
    }
  })
}

function firstAckMs({ startMs, endMs }: FaultRecord, acks: { sentMs: number; atMs: number }[]): number {
  const first = acks[lowerBound(acks, endMs)]
  if (!first) return Number.POSITIVE_INFINITY
  // Something sent before the fault may still be answered after it; that says nothing about recovery.
  const after = acks.slice(lowerBound(acks, endMs)).find(({ sentMs }) => sentMs >= startMs) ?? first
  return after.atMs - endMs
}

function calmMs({ endMs }: FaultRecord, lag: LagSample[]): number {
  const calm = lag.slice(lowerBound(lag, endMs)).find(({ lagMs }) => lagMs !== null && lagMs < CALM_LAG_MS)
  return calm ? calm.atMs - endMs : Number.POSITIVE_INFINITY
}

function lowerBound(sorted: { atMs: number }[], atMs: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle]?.atMs ?? 0) < atMs) low = middle + 1
    else high = middle
  }
  return low
}

function spread(values: number[]): { median: number; worst: number } {
  const sorted = values.sort((a, b) => a - b)
  return { median: sorted[sorted.length >> 1] ?? 0, worst: sorted.at(-1) ?? 0 }
}
