import type { IncomingHttpHeaders } from 'node:http'
import type { TSchema } from '@sinclair/typebox'
import type { RawBatch } from '../body.ts'
import type { IngestAnswer } from '../schemas.ts'

/** A route of another product's protocol: how its body becomes native events, and what its clients need to hear. */
export interface ForeignRoute {
  url: string
  /** Other addresses of the same route. Nothing is redirected: clients follow a redirect with a GET that has lost the events. */
  aliases?: string[]
  operationId: string
  summary: string
  description: string
  body: TSchema
  /** Finds the key in the body, for clients that cannot send it elsewhere. */
  bodyCredential?: (body: unknown) => string | undefined
  toBatch: (body: unknown, headers: IncomingHttpHeaders) => RawBatch
  success: { status: 200 | 204; schema: TSchema; body: (answer: IngestAnswer) => unknown }
  /** The status that makes its clients come back when too much arrives: some drop their events on 429. */
  overload: 429 | 503
  /**
   * What its clients hear when the quota takes a part of a request: a refusal, after which they send it all again and what was taken is
   * known, or a success that says so, where they would go on for nothing or drop their events.
   */
  overQuota: 'refuse' | 'tell'
}

/** A question that a client asks before it sends anything. The answer needs no key. */
export interface StartRoute {
  method: 'GET' | 'POST'
  url: string
  aliases?: string[]
  operationId: string
  summary: string
  description: string
  params?: TSchema
  mediaType: string
  schema: TSchema
  /** `own` is where the client has reached this server. */
  body: (key: string, own: URL) => unknown
}

export type Fields = Record<string, unknown>

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The value as fields; anything else has none. */
export const fieldsOr = (value: unknown): Fields => (isFields(value) ? value : {})

/** Foreign clients send numbers as ids, and null or the empty string for none. What else is no text is refused by `capture`. */
export function idOf(value: unknown): unknown {
  if (value === null || value === '') return undefined
  return typeof value === 'number' ? String(value) : value
}

/** The first of the values that is text. */
export const firstText = (...values: unknown[]): string | undefined =>
  values.find((value): value is string => typeof value === 'string' && value !== '')

const WITHOUT_ZONE = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?$/

/** Foreign times without a zone are UTC. What is no time stays as it is, so that `capture` refuses it by name. */
export function timeOf(value: unknown): unknown {
  if (value === null || value === '') return undefined
  return typeof value === 'string' && WITHOUT_ZONE.test(value) ? `${value}Z` : value
}

/** The fields that have a value, or undefined when there are none. */
export function present(fields: Fields): Fields | undefined {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null)
  return entries.length > 0 ? Object.fromEntries(entries) : undefined
}
