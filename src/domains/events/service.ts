import type { ProjectScope } from '../../http/access.ts'
import type { Metrics } from '../../infra/metrics.ts'
import type { Admission, Admit, Verdict } from './admit.ts'
import type { RawBatch } from './body.ts'
import type { Lane } from './buffer.ts'
import { type CapturedEvent, createCapture, type Rejection } from './capture.ts'
import { allRejected, burstExceeded } from './errors.ts'
import type { EventResult, IngestAnswer } from './schemas.ts'

interface Dependencies {
  admit: Admit
  metrics: Metrics
}

interface IngestRequest {
  scope: ProjectScope
  lane: Exclude<Lane, 'quarantine'>
  batch: RawBatch
  sentAtMs: number | undefined
  idempotencyKey: string | undefined
}

export type IngestService = ReturnType<typeof createIngestService>

const CONFLICT = {
  code: 'events.conflict',
  message: 'An event with this messageId and other content was accepted before; the first copy stands.',
}

export function createIngestService({ admit, metrics }: Dependencies) {
  /** Takes one request: resolves once every valid event of it is on disk. Rejects with 422 when none is valid, 429, 503. */
  return async function ingest(request: IngestRequest): Promise<{ answer: IngestAnswer; burst: Admission['burst'] }> {
    const { scope, lane, batch, sentAtMs, idempotencyKey } = request
    const capture = createCapture({ ...scope, receivedAtMs: Date.now(), sentAtMs, idempotencyKey })
    const captured: CapturedEvent[] = []
    const results = batch.events.map((raw, index) => {
      const outcome = capture(raw, index)
      if ('rejection' in outcome) return { index, rejection: outcome.rejection }
      captured.push(outcome.event)
      return { index, event: outcome.event }
    })
    metrics.events.inc({ verdict: 'rejected' }, results.length - captured.length)
    if (captured.length === 0)
      throw refusal(results.map(({ rejection }) => rejection).filter((fault) => fault !== undefined))

    const { verdicts, burst } = await admit(scope, lane, captured)
    if (!verdicts) {
      const seconds = Math.max(1, Math.ceil(burst.resetMs / 1000))
      throw burstExceeded(`The organization sends more events per second than it may. Try again in ${seconds} s.`, {
        headers: { 'retry-after': String(seconds) },
      })
    }
    let position = 0
    const answered = results.map(({ index, event, rejection }) =>
      event ? admitted(index, event, verdicts[position++] ?? 'new') : rejected(index, rejection),
    )
    return { answer: summarize(answered, verdicts, metrics), burst }
  }
}

function admitted(index: number, { messageId, retryStable }: CapturedEvent, verdict: Verdict): EventResult {
  if (verdict === 'new')
    return { index, messageId, status: 'accepted', ...(retryStable ? {} : { deduplication: 'none' }) }
  return { index, messageId, status: 'duplicate', ...(verdict === 'conflict' ? CONFLICT : {}) }
}

function rejected(index: number, { code, path, message, messageId }: Rejection): EventResult {
  return { index, messageId, status: 'rejected', code, message: path ? `${path}: ${message}` : message }
}

function summarize(results: EventResult[], verdicts: Verdict[], metrics: Metrics): IngestAnswer {
  const count = (status: EventResult['status']) => results.filter((result) => result.status === status).length
  const answer = { accepted: count('accepted'), duplicates: count('duplicate'), rejected: count('rejected'), results }
  metrics.events.inc({ verdict: 'accepted' }, answer.accepted)
  metrics.events.inc({ verdict: 'duplicate' }, answer.duplicates)
  metrics.conflicts.inc(verdicts.filter((verdict) => verdict === 'conflict').length)
  return answer
}

function refusal(rejections: Rejection[]) {
  const errors = rejections.map(({ path, message }, index) => ({ path: `/${index}${path}`, message }))
  return allRejected('No event of the request is valid; `errors` names the fault of each.', { errors })
}
