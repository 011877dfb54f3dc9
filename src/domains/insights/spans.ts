import type { Static } from '@sinclair/typebox'
import type { FieldError } from '../../errors.ts'
import { type TimeInput, timeToMs } from '../../http/schemas.ts'
import type { Interval, Span } from './buckets.ts'

const DAY_MS = 86_400_000
const SPAN_DAYS_MAX = 5 * 366
export const RECENT_DAYS = 30
/** The days of the sort key are counted from 1970 in two bytes. */
const LATEST_MS = Date.UTC(2100, 0)

/** The finer the interval, the shorter the time that one query may cover. */
const INTERVAL_DAYS_MAX: Partial<Record<Interval, number>> = { minute: 7, hour: 366 }

export interface SpanInput {
  from: Static<typeof TimeInput>
  to: Static<typeof TimeInput>
}

/** Reads `from` (inclusive) and `to` (exclusive). Faults are added to `faults` with pointers under `path`. */
export function readSpan({ from, to }: SpanInput, path: string, faults: FieldError[]): Span {
  const span = { fromMs: readTime(from, `${path}/from`, faults), toMs: readTime(to, `${path}/to`, faults) }
  if (span.fromMs >= span.toMs) faults.push({ path: `${path}/to`, message: 'must be after from' })
  if (days(span) > SPAN_DAYS_MAX)
    faults.push({ path: `${path}/from`, message: `may be at most ${SPAN_DAYS_MAX} days before to` })
  return span
}

/** Reads a span whose ends may be missing; `defaults` says where it begins, given its end, and where it ends. */
export function readOpenSpan(
  { from, to }: Partial<SpanInput>,
  path: string,
  faults: FieldError[],
  defaults: SpanDefaults = UNBOUNDED,
): Span {
  const toMs = to === undefined ? defaults.toMs : readTime(to, `${path}/to`, faults)
  const span = { fromMs: from === undefined ? defaults.fromMs(toMs) : readTime(from, `${path}/from`, faults), toMs }
  if (span.fromMs >= span.toMs) faults.push({ path: `${path}/to`, message: 'must be after from' })
  return span
}

interface SpanDefaults {
  toMs: number
  fromMs: (toMs: number) => number
}

const UNBOUNDED: SpanDefaults = { toMs: LATEST_MS, fromMs: () => 0 }

/** The last 30 days and what lies ahead, because clocks of senders may be fast. */
export function recentDays(nowMs: number): SpanDefaults {
  return { toMs: LATEST_MS, fromMs: (toMs) => daysUntil(nowMs).fromMs(Math.min(toMs, nowMs)) }
}

/** The 30 days before `toMs`. */
export function daysUntil(toMs: number): SpanDefaults {
  return { toMs, fromMs: (endMs) => Math.max(0, endMs - RECENT_DAYS * DAY_MS) }
}

const WINDOWS_MS = [DAY_MS, 30 * DAY_MS]

/**
 * Ever longer ends of a span, back from `anchorMs`, the last one being the whole. Who looks for the newest events tries them in turn:
 * the first is nearly always enough, and is cheap to read however long the history of a project is.
 */
export function growingWindows(span: Span, anchorMs: number): Span[] {
  const starts = WINDOWS_MS.map((lengthMs) => anchorMs - lengthMs).filter((start) => start > span.fromMs)
  return [...starts, span.fromMs].map((fromMs) => ({ fromMs, toMs: span.toMs }))
}

export function checkInterval(span: Span, interval: Interval, path: string, faults: FieldError[]): void {
  const daysMax = INTERVAL_DAYS_MAX[interval]
  if (daysMax === undefined || days(span) <= daysMax) return
  faults.push({
    path: `${path}/interval`,
    message: `by ${interval} a query may cover at most ${daysMax} days; choose a longer interval`,
  })
}

const days = ({ fromMs, toMs }: Span) => (toMs - fromMs) / DAY_MS

function readTime(time: SpanInput['from'], path: string, faults: FieldError[]): number {
  const ms = timeToMs(time)
  if (Number.isNaN(ms)) faults.push({ path, message: 'is not a date that exists' })
  else if (ms < 0 || ms > LATEST_MS) faults.push({ path, message: 'must lie between 1970 and 2100' })
  return ms
}
