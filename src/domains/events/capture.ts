import { hash } from 'node:crypto'
import type { ProjectScope } from '../../http/access.ts'
import { newId } from '../../ids.ts'
import type { RawEvent } from './body.ts'
import { fieldsOf } from './parse-event.ts'
import type { EventFields } from './plain-body.ts'
import { type ByteString, fromBytes, nullableTimeColumn, stringColumn, timeColumn } from './row.ts'

/** What holds for every event of one request. */
export interface CaptureContext extends ProjectScope {
  receivedAtMs: number
  sentAtMs: number | undefined
  /** `Idempotency-Key` of the request, from which events without a messageId derive a stable one. */
  idempotencyKey: string | undefined
}

/** An event that is ready to be admitted. */
export interface CapturedEvent {
  messageId: string
  /** Whether the id comes from the client or is derived from something that a retry repeats. */
  retryStable: boolean
  /** Epoch milliseconds of when it happened. */
  timestampMs: number
  /** The row that ClickHouse will hold. */
  row: ByteString
  /** Where in the row the bytes of the messageId stand. */
  idPlace: { start: number; end: number }
  /** How many of the row's first bytes a copy of the event repeats: what the sender said. */
  contentBytes: number
}

/** Why an event was not captured: every way out has a code that is counted and told to the sender. */
export interface Rejection {
  code: string
  message: string
  /** JSON pointer inside the event. */
  path: string
  messageId: string | null
}

type Captured = { event: CapturedEvent } | { rejection: Rejection }

const MAX_PAST_MS = 10 * 366 * 86_400_000
const MAX_FUTURE_MS = 86_400_000

/** Prepares what the events of one request share; the function that it returns completes one event and writes its row. Pure. */
export function createCapture(context: CaptureContext): (raw: RawEvent, index: number) => Captured {
  const owner = stringColumn(context.organizationId) + stringColumn(context.projectId)
  const stamps = nullableTimeColumn(context.sentAtMs) + timeColumn(context.receivedAtMs)

  return function capture(raw, index) {
    if ('fault' in raw) return reject(raw.code ?? 'events.invalid_json', '', raw.fault, null)
    const fields = 'fields' in raw ? raw.fields : fieldsOf(raw.value)
    if ('rejection' in fields) return fields
    const identified = identify(fields, index, context)
    const time = timeOf(fields, identified.messageId, context.receivedAtMs)
    if (typeof time === 'string') return reject('events.invalid_timestamp', '/timestamp', time, identified.messageId)
    const upToId = owner + stringColumn(fields.event) + stringColumn(identified.idBytes)
    const content = upToId + contentAfterId(fields)
    const row = content + timeColumn(time) + stamps
    const contentBytes = fields.timestamp === undefined ? content.length : content.length + 8
    const { messageId, idBytes, retryStable } = identified
    const idPlace = { start: upToId.length - idBytes.length, end: upToId.length }
    return { event: { messageId, retryStable, timestampMs: time, row, idPlace, contentBytes } }
  }
}

function reject(code: string, path: string, message: string, messageId: string | null): Captured {
  return { rejection: { code, path, message, messageId } }
}

/** The other columns of what the sender said, in the order of COLUMNS. */
const contentAfterId = (fields: EventFields): ByteString =>
  stringColumn(fields.type) +
  stringColumn(fields.userId) +
  stringColumn(fields.anonymousId) +
  stringColumn(fields.groupId) +
  stringColumn(fields.properties) +
  stringColumn(fields.traits) +
  stringColumn(fields.context)

function identify({ messageId }: EventFields, index: number, context: CaptureContext) {
  if (messageId !== '') return { messageId: fromBytes(messageId), idBytes: messageId, retryStable: true }
  const { organizationId, projectId, idempotencyKey } = context
  const made =
    idempotencyKey === undefined
      ? newId('evt')
      : `idem_${hash('sha256', `${organizationId}\n${projectId}\n${idempotencyKey}\n${index}`).slice(0, 32)}`
  return { messageId: made, idBytes: made, retryStable: idempotencyKey !== undefined }
}

/**
 * When the event happened. The day is part of the stored identity, so a retry must arrive at the same time: the sender's own, else
 * the one inside a version 7 UUID, and only then the time of receipt. A string says what is wrong.
 */
function timeOf({ timestamp }: EventFields, messageId: string, receivedAtMs: number): number | string {
  if (timestamp !== undefined) return implausible(timestamp, receivedAtMs) ?? timestamp
  const ms = uuidTime(messageId)
  return ms === undefined || implausible(ms, receivedAtMs) ? receivedAtMs : ms
}

/** What is wrong with a time that a sender gives, or undefined: it must exist, and be near enough for a column to hold it. */
function implausible(ms: number, nowMs: number): string | undefined {
  if (Number.isNaN(ms)) return 'is not a date that exists'
  if (ms > nowMs + MAX_FUTURE_MS) return 'is more than a day in the future'
  if (ms < nowMs - MAX_PAST_MS) return 'is more than ten years in the past'
  return undefined
}

const LATEST_STORABLE_MS = Date.UTC(2200, 0)

/** Whether a column can hold the time. A sender's clock may be wrong by any amount, which is what `sentAt` is there to show. */
export const isStorableTime = (ms: number): boolean => ms >= 0 && ms < LATEST_STORABLE_MS

const UUID_V7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i

function uuidTime(messageId: string): number | undefined {
  const match = UUID_V7.exec(messageId)
  return match ? Number.parseInt(`${match[1]}${match[2]}`, 16) : undefined
}
