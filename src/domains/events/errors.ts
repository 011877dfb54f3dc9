import { defineProblem } from '../../errors.ts'

export const bodyEmpty = defineProblem('events.body_empty', 400, 'The body holds no event')
export const bodyNotJson = defineProblem('events.body_not_json', 400, 'The body is not JSON')
export const bodyNotDecodable = defineProblem('events.body_not_decodable', 400, 'The body cannot be decoded')
export const bodyTooLarge = defineProblem('events.body_too_large', 413, 'The body is too large')
export const bodyTooComplex = defineProblem('events.body_too_complex', 413, 'The body holds too much structure')
export const originNotAllowed = defineProblem('events.origin_not_allowed', 403, 'Pages of this origin may not send')
export const tooManyEvents = defineProblem('events.too_many', 413, 'Too many events in one request')
export const unsupportedEncoding = defineProblem(
  'events.unsupported_encoding',
  415,
  'The content encoding is not supported',
)
export const allRejected = defineProblem('events.all_rejected', 422, 'Every event is invalid')
export const burstExceeded = defineProblem('events.burst_exceeded', 429, 'Too many events per second')
export const quotaExceeded = defineProblem('billing.quota_exceeded', 429, 'The events of the period are used up')
export const ingestionStopped = defineProblem('billing.ingestion_stopped', 429, 'The subscription takes no events')
export const overFairShare = defineProblem('events.over_fair_share', 429, 'The buffer fills faster than it empties')
export const bufferFull = defineProblem('events.buffer_full', 503, 'The event buffer is nearly full')
export const overloaded = defineProblem('events.overloaded', 503, 'The server has more to do than it can')
export const bufferUnavailable = defineProblem('events.buffer_unavailable', 503, 'Events cannot be taken right now')
