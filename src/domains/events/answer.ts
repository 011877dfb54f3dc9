import type { ProjectScope } from '../../http/access.ts'
import type { Metrics } from '../../infra/metrics.ts'
import type { Verdict } from './admit.ts'
import type { Outcomes } from './outcomes.ts'
import { messageIdOf, type PackedEvents } from './pack.ts'
import type { PlanVerdict } from './plan.ts'
import type { Rejection } from './rejection.ts'
import type { EventResult, IngestAnswer } from './schemas.ts'

/** The events of one request after capture: those for the store, those for the quarantine, and in the order of the request what each became. */
export interface Prepared {
  taken: PackedEvents
  apart: PackedEvents
  fates: ({ into: 'store' | 'quarantine'; warning?: PlanVerdict } | { rejection: Rejection })[]
}

const CONFLICT = {
  code: 'events.conflict',
  message: 'An event with this messageId and other content was accepted before; the first copy stands.',
}

/** Tells the sender what became of each event, and counts it for the project and for the operator. */
export function createAnswer({ outcomes, metrics }: { outcomes: Pick<Outcomes, 'count'>; metrics: Metrics }) {
  /** What became of events beyond the limit of the quota; nothing where none were. */
  function countBeyond(scope: ProjectScope, { refused, held, sampledOut }: Record<keyof typeof BEYOND, number>) {
    if (refused + held + sampledOut === 0) return {}
    outcomes.count(scope, 'quotaExceeded', refused)
    outcomes.count(scope, 'held', held)
    outcomes.count(scope, 'sampledOut', sampledOut)
    metrics.events.inc({ verdict: 'quota_exceeded' }, refused)
    metrics.events.inc({ verdict: 'held' }, held)
    metrics.events.inc({ verdict: 'sampled_out' }, sampledOut)
    return {
      ...(refused > 0 && { quotaExceeded: refused }),
      ...(held > 0 && { held }),
      ...(sampledOut > 0 && { sampledOut }),
    }
  }

  return function answerOf(
    scope: ProjectScope,
    { taken, apart, fates }: Prepared,
    takenVerdicts: readonly Verdict[],
    apartVerdicts: readonly Verdict[],
  ): IngestAnswer {
    const sums = { accepted: 0, duplicates: 0, rejected: 0, quarantined: 0 }
    const beyond = { refused: 0, held: 0, sampledOut: 0 }
    let [nextTaken, nextApart, conflicts] = [0, 0, 0]
    const results = fates.map((fate, index): EventResult => {
      if ('rejection' in fate) {
        sums.rejected += 1
        outcomes.count(scope, `rejected:${fate.rejection.code}`)
        return rejectedResult(index, fate.rejection)
      }
      const isApart = fate.into === 'quarantine'
      const position = isApart ? nextApart++ : nextTaken++
      const packed = isApart ? apart : taken
      const verdict = (isApart ? apartVerdicts : takenVerdicts)[position]
      const messageId = messageIdOf(packed, position)
      if (verdict === 'new') {
        sums[isApart ? 'quarantined' : 'accepted'] += 1
        return newResult(index, messageId, fate, packed.ids[position]?.retryStable)
      }
      if (verdict === 'refused' || verdict === 'held' || verdict === 'sampledOut') {
        beyond[verdict] += 1
        return { index, messageId, ...BEYOND[verdict] }
      }
      sums.duplicates += 1
      if (verdict === 'duplicate') return { index, messageId, status: 'duplicate' }
      conflicts += 1
      return { index, messageId, status: 'duplicate', ...CONFLICT }
    })
    const { accepted, duplicates, rejected, quarantined } = sums
    metrics.events.inc({ verdict: 'accepted' }, accepted)
    metrics.events.inc({ verdict: 'duplicate' }, duplicates)
    metrics.events.inc({ verdict: 'rejected' }, rejected)
    metrics.events.inc({ verdict: 'quarantined' }, quarantined)
    metrics.conflicts.inc(conflicts)
    outcomes.count(scope, 'accepted', accepted)
    outcomes.count(scope, 'duplicate', duplicates)
    outcomes.count(scope, 'conflict', conflicts)
    outcomes.count(scope, 'quarantined', quarantined)
    return { accepted, duplicates, rejected, quarantined, ...countBeyond(scope, beyond), results }
  }
}

const BEYOND = {
  refused: {
    status: 'quota_exceeded',
    code: 'billing.quota_exceeded',
    message: 'The events of the billing period are used up.',
  },
  held: { status: 'held' },
  sampledOut: { status: 'sampled_out' },
} as const

function newResult(
  index: number,
  messageId: string,
  { into, warning }: Extract<Prepared['fates'][number], { into: unknown }>,
  retryStable: boolean | undefined,
): EventResult {
  const status = into === 'quarantine' ? 'quarantined' : 'accepted'
  const unstable = retryStable ? undefined : ({ deduplication: 'none' } as const)
  if (!warning) return unstable ? { index, messageId, status, ...unstable } : { index, messageId, status }
  const { code, path, message } = warning
  return { index, messageId, status, ...unstable, code, message: `${path}: ${message}` }
}

const rejectedResult = (index: number, { code, path, message, messageId }: Rejection): EventResult => ({
  ...{ index, messageId, status: 'rejected', code },
  message: path ? `${path}: ${message}` : message,
})
