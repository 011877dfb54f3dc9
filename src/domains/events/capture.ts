import { hash } from 'node:crypto'
import type { ProjectScope } from '../../http/access.ts'
import { newId } from '../../ids.ts'
import type { RawEvent } from './body.ts'
import type { CapturedEvent } from './captured-event.ts'
import { clockSkewMs } from './enrich/clock.ts'
import { fieldsOf } from './parse-event.ts'
import type { EventFields } from './plain-body.ts'
import { judge, keptBy, type Plan, type PlanVerdict } from './plan.ts'
import { captureApart } from './quarantine-row.ts'
import type { Rejection } from './rejection.ts'
import { type ByteString, fromBytes, nullableTimeColumn, stringColumn, timeColumn } from './row.ts'

/** What holds for every event of one request. */
export interface CaptureContext extends ProjectScope {
  receivedAtMs: number
  sentAtMs: number | undefined
  /** When they are taken, where that is later than when they were heard of: then it counts as their receipt, and changes nothing else. */
  takenAtMs?: number | undefined
  /** `Idempotency-Key` of the request, from which events without a messageId derive a stable one. */
  idempotencyKey: string | undefined
  /** What their circumstances tell of the events, see enrich.ts: the columns after the own ones, and the context that may be stored. */
  enrich: (context: ByteString, hasOwnTime: boolean) => { columns: ByteString; context: ByteString }
  /** The tracking plan of the project, where there is one to hold events against. */
  plan: Plan | null
}

/** `apart` is an event for the quarantine; `warning` goes with an event that is taken all the same. */
export type Captured =
  | { event: CapturedEvent; warning?: PlanVerdict | undefined }
  | { apart: CapturedEvent; warning: PlanVerdict }
  | { rejection: Rejection }

const MAX_PAST_MS = 10 * 366 * 86_400_000
const MAX_FUTURE_MS = 86_400_000

/** Prepares what the events of one request share; the function that it returns completes one event and writes its row. Pure. */
export function createCapture(context: CaptureContext): (raw: RawEvent, index: number) => Captured {
  const owner = stringColumn(context.organizationId) + stringColumn(context.projectId)
  const { enrich, plan, receivedAtMs, sentAtMs, takenAtMs = receivedAtMs } = context
  const stamps = nullableTimeColumn(sentAtMs) + timeColumn(takenAtMs)
  const skewMs = clockSkewMs(sentAtMs, receivedAtMs)

  return function capture(raw, index) {
    if ('fault' in raw) return reject(raw.code ?? 'events.invalid_json', '', raw.fault, null)
    const fields = 'fields' in raw ? raw.fields : fieldsOf(raw.value)
    if ('rejection' in fields) return fields
    const identified = identify(fields, index, context)
    const { messageId, idBytes, retryStable } = identified
    const time = timeOf(fields, messageId, receivedAtMs)
    if (typeof time === 'string') return reject('events.invalid_timestamp', '/timestamp', time, messageId)
    const verdict = plan ? judge(plan, fields) : undefined
    if (verdict?.action === 'reject') return reject(verdict.code, verdict.path, verdict.message, messageId)
    if (verdict?.action === 'quarantine') {
      // With its id, also where that was not the sender's, so that a replay is the same event.
      const said = { ...fields, messageId: idBytes }
      const kept = { messageId, retryStable, ...keptBy(verdict, said), receivedAtMs, sentAtMs }
      return { apart: captureApart(context, kept), warning: verdict }
    }
    const hasOwnTime = fields.timestamp !== undefined || time !== receivedAtMs
    const added = enrich(fields.context, hasOwnTime)
    const upToId = owner + stringColumn(fields.event) + stringColumn(idBytes)
    const content = upToId + contentAfterId(fields, added.context)
    const row = content + timeColumn(time) + stamps + added.columns
    const contentBytes = hasOwnTime ? content.length + 8 : content.length
    const idPlace = { start: upToId.length - idBytes.length, end: upToId.length }
    const occurredAtMs = hasOwnTime ? time - skewMs : time
    const event = { messageId, retryStable, occurredAtMs, row, idPlace, contentBytes }
    return verdict?.action === 'warn' ? { event, warning: verdict } : { event }
  }
}

function reject(code: string, path: string, message: string, messageId: string | null): Captured {
  return { rejection: { code, path, message, messageId } }
}

/** The other columns of what the sender said, in the order of COLUMNS. */
const contentAfterId = (fields: EventFields, context: ByteString): ByteString =>
  stringColumn(fields.type) +
  stringColumn(fields.userId) +
  stringColumn(fields.anonymousId) +
  stringColumn(fields.groupId) +
  stringColumn(fields.properties) +
  stringColumn(fields.traits) +
  stringColumn(context)

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
