import type { ProjectScope } from '../../http/access.ts'
import type { Metrics } from '../../infra/metrics.ts'
import type { Admission, Admit, Verdict } from './admit.ts'
import { createAnswer, type Prepared } from './answer.ts'
import type { RawBatch } from './body.ts'
import type { Lane } from './buffer.ts'
import { createCapture } from './capture.ts'
import type { CapturedEvent } from './captured-event.ts'
import { clockSkewMs } from './enrich/clock.ts'
import type { Enricher } from './enrich/enrich.ts'
import { allRejected, burstExceeded } from './errors.ts'
import { heldEvents } from './hold.ts'
import type { Outcomes } from './outcomes.ts'
import { type PackedEvents, packEvents } from './pack.ts'
import type { Plan } from './plan.ts'
import { quotaRefused } from './quota-refusal.ts'
import type { Rejection } from './rejection.ts'
import type { RequestFacts } from './request-facts.ts'
import type { IngestAnswer } from './schemas.ts'

interface Dependencies {
  admit: Admit
  enricher: Enricher
  planOf: (scope: ProjectScope) => Promise<Plan | null>
  outcomes: Pick<Outcomes, 'count'>
  metrics: Metrics
}

export interface IngestRequest {
  scope: ProjectScope
  lane: Exclude<Lane, 'quarantine'>
  facts: RequestFacts
  batch: RawBatch
  sentAtMs: number | undefined
  idempotencyKey: string | undefined
}

export interface Ingested {
  answer: IngestAnswer
  burst: Admission['burst']
  quota: Admission['quota']
}

export type IngestService = ReturnType<typeof createIngestService>

export function createIngestService({ admit, enricher, planOf, outcomes, metrics }: Dependencies) {
  const answerOf = createAnswer({ outcomes, metrics })

  /**
   * Takes one request: resolves once every valid event of it is on disk. Rejects with 422 when none is, 429, 503, and then it may have
   * set events aside, which are recognized when the request comes again.
   */
  return function ingest(request: IngestRequest): Promise<Ingested> {
    const { scope, lane } = request
    // From `settle` on nothing refers to the request's text, so that what waits for the buffer is small.
    return planOf(scope).then((plan) => settle(scope, lane, prepare(request, plan)))
  }

  async function settle(scope: ProjectScope, lane: Lane, prepared: Prepared): Promise<Ingested> {
    const { taken, apart, fates } = prepared
    if (taken.ids.length + apart.ids.length === 0) throw refusal(scope, fates)
    const kept = await into(scope, 'quarantine', apart)
    const stored = await into(scope, lane, taken)
    if (stored.verdicts.includes('held')) await hold(scope, taken, stored.verdicts)
    const { burst, quota } = taken.ids.length > 0 ? stored : kept
    const isRefused = (verdict: Verdict) => verdict === 'refused'
    if (quota && stored.verdicts.every(isRefused) && kept.verdicts.every(isRefused)) {
      outcomes.count(scope, 'quotaExceeded', stored.verdicts.length + kept.verdicts.length)
      throw quotaRefused(quota)
    }
    return { answer: answerOf(scope, prepared, stored.verdicts, kept.verdicts), burst, quota }
  }

  /** Keeps what the quota holds back; when it comes again it is known there. Nothing of the request is answered before. */
  async function hold(scope: ProjectScope, taken: PackedEvents, verdicts: readonly Verdict[]): Promise<void> {
    const held = packEvents(heldEvents(scope, taken, verdicts), Date.now())
    const { verdicts: kept, quota } = await into(scope, 'quarantine', held, true)
    // The subscription was stopped in between.
    if (quota && kept.includes('refused')) throw quotaRefused(quota)
  }

  async function into(scope: ProjectScope, lane: Lane, events: PackedEvents, isHeld = false) {
    if (events.ids.length === 0) return { verdicts: [], burst: { limit: 0, remaining: 0, resetMs: 0 }, quota: null }
    const { verdicts, burst, quota } = await admit(scope, lane, events, isHeld)
    if (verdicts) return { verdicts, burst, quota }
    outcomes.count(scope, 'burstRefused', events.ids.length)
    throw overBurst(burst)
  }

  function prepare({ scope, facts, batch, sentAtMs, idempotencyKey }: IngestRequest, plan: Plan | null): Prepared {
    const receivedAtMs = Date.now()
    const enrich = enricher.forRequest({ ...facts, clockSkewMs: clockSkewMs(sentAtMs, receivedAtMs) })
    const capture = createCapture({ ...scope, receivedAtMs, sentAtMs, idempotencyKey, enrich, plan })
    const taken: CapturedEvent[] = []
    const apart: CapturedEvent[] = []
    const fates = batch.events.map((raw, index): Prepared['fates'][number] => {
      const captured = capture(raw, index)
      if ('rejection' in captured) return captured
      if ('apart' in captured) apart.push(captured.apart)
      else taken.push(captured.event)
      if ('apart' in captured) return { into: 'quarantine', warning: captured.warning }
      return captured.warning ? { into: 'store', warning: captured.warning } : STORED
    })
    return { taken: packEvents(taken, receivedAtMs), apart: packEvents(apart, receivedAtMs), fates }
  }

  function refusal(scope: ProjectScope, fates: Prepared['fates']) {
    const rejections = fates.map((fate) => ('rejection' in fate ? fate.rejection : undefined)).filter(isRejection)
    metrics.events.inc({ verdict: 'rejected' }, rejections.length)
    for (const { code } of rejections) outcomes.count(scope, `rejected:${code}`)
    const errors = rejections.map(({ path, message }, index) => ({ path: `/${index}${path}`, message }))
    return allRejected('No event of the request is valid; `errors` names the fault of each.', { errors })
  }
}

/** Shared, as almost every event fares like this. */
const STORED = { into: 'store' } as const

const isRejection = (rejection: Rejection | undefined): rejection is Rejection => rejection !== undefined

function overBurst({ resetMs }: Admission['burst']) {
  const seconds = Math.max(1, Math.ceil(resetMs / 1000))
  return burstExceeded(`The organization sends more events per second than it may. Try again in ${seconds} s.`, {
    headers: { 'retry-after': String(seconds) },
  })
}
