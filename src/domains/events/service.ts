import type { ProjectScope } from '../../http/access.ts'
import type { Metrics } from '../../infra/metrics.ts'
import type { Admission, Admit, Verdict } from './admit.ts'
import type { RawBatch } from './body.ts'
import type { Lane } from './buffer.ts'
import { type CapturedEvent, createCapture, type Rejection } from './capture.ts'
import { allRejected, burstExceeded } from './errors.ts'
import { messageIdOf, type PackedEvents, packEvents } from './pack.ts'
import type { EventResult, IngestAnswer } from './schemas.ts'

interface Dependencies {
  admit: Admit
  metrics: Metrics
}

export interface IngestRequest {
  scope: ProjectScope
  lane: Exclude<Lane, 'quarantine'>
  batch: RawBatch
  sentAtMs: number | undefined
  idempotencyKey: string | undefined
}

export interface Ingested {
  answer: IngestAnswer
  burst: Admission['burst']
}

export type IngestService = ReturnType<typeof createIngestService>

const CONFLICT = {
  code: 'events.conflict',
  message: 'An event with this messageId and other content was accepted before; the first copy stands.',
}

export function createIngestService({ admit, metrics }: Dependencies) {
  /** Takes one request: resolves once every valid event of it is on disk. Rejects with 422 when none is valid, 429, 503. */
  return function ingest(request: IngestRequest): Promise<Ingested> {
    // From here on nothing refers to the request's text, so that what waits for the buffer is small.
    return settle(request.scope, request.lane, prepare(request))
  }

  async function settle(scope: ProjectScope, lane: Lane, { packed, rejections }: Prepared): Promise<Ingested> {
    const rejected = rejections.filter((rejection) => rejection !== undefined)
    metrics.events.inc({ verdict: 'rejected' }, rejected.length)
    if (packed.ids.length === 0) throw refusal(rejected)
    const { verdicts, burst } = await admit(scope, lane, packed)
    if (!verdicts) throw overBurst(burst)
    return { answer: answerOf(packed, rejections, verdicts, metrics), burst }
  }
}

interface Prepared {
  packed: PackedEvents
  /** For each event of the request, why it was not captured, or undefined. */
  rejections: (Rejection | undefined)[]
}

function prepare({ scope, batch, sentAtMs, idempotencyKey }: IngestRequest): Prepared {
  const capture = createCapture({ ...scope, receivedAtMs: Date.now(), sentAtMs, idempotencyKey })
  const captured: CapturedEvent[] = []
  const rejections = batch.events.map((raw, index) => {
    const outcome = capture(raw, index)
    if ('rejection' in outcome) return outcome.rejection
    captured.push(outcome.event)
    return undefined
  })
  return { packed: packEvents(captured), rejections }
}

function answerOf(
  packed: PackedEvents,
  rejections: Prepared['rejections'],
  verdicts: Verdict[],
  metrics: Metrics,
): IngestAnswer {
  let position = 0
  let duplicates = 0
  let conflicts = 0
  const results = rejections.map((rejection, index): EventResult => {
    if (rejection) return rejectedResult(index, rejection)
    const messageId = messageIdOf(packed, position)
    const retryStable = packed.ids[position]?.retryStable
    const verdict = verdicts[position++]
    if (verdict === 'new' && retryStable) return { index, messageId, status: 'accepted' }
    if (verdict === 'new') return { index, messageId, status: 'accepted', deduplication: 'none' }
    duplicates += 1
    if (verdict === 'duplicate') return { index, messageId, status: 'duplicate' }
    conflicts += 1
    return { index, messageId, status: 'duplicate', ...CONFLICT }
  })
  const accepted = packed.ids.length - duplicates
  metrics.events.inc({ verdict: 'accepted' }, accepted)
  metrics.events.inc({ verdict: 'duplicate' }, duplicates)
  metrics.conflicts.inc(conflicts)
  return { accepted, duplicates, rejected: results.length - packed.ids.length, results }
}

const rejectedResult = (index: number, { code, path, message, messageId }: Rejection): EventResult => ({
  ...{ index, messageId, status: 'rejected', code },
  message: path ? `${path}: ${message}` : message,
})

function overBurst({ resetMs }: Admission['burst']) {
  const seconds = Math.max(1, Math.ceil(resetMs / 1000))
  return burstExceeded(`The organization sends more events per second than it may. Try again in ${seconds} s.`, {
    headers: { 'retry-after': String(seconds) },
  })
}

function refusal(rejections: Rejection[]) {
  const errors = rejections.map(({ path, message }, index) => ({ path: `/${index}${path}`, message }))
  return allRejected('No event of the request is valid; `errors` names the fault of each.', { errors })
}
