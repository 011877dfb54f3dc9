import { hash } from 'node:crypto'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { ProjectScope } from '../../http/access.ts'
import { timeToMs } from '../../http/schemas.ts'
import { newId } from '../../ids.ts'
import type { RawEvent } from './body.ts'
import { EventInput, LIMITS } from './schemas.ts'

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
  /** 16 bytes of identity (organization, project, messageId) and 8 bytes of content fingerprint. */
  mark: Buffer
  /** The ClickHouse row as one JSON line. */
  line: string
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

/** Validates one event, completes it and writes it down as the row that ClickHouse will hold. Pure. */
export function capture(raw: RawEvent, index: number, context: CaptureContext): Captured {
  if ('fault' in raw) return reject(raw.code ?? 'events.invalid_json', '', raw.fault, null)
  const { value } = raw
  if (!checker.Check(value)) return { rejection: explain(value) }
  const input = value
  const unsafe = findUnsafe(input, 0)
  if (unsafe) return reject('events.invalid_content', unsafe.path, unsafe.message, input.messageId)
  const identified = identify(input, index, context)
  const time = timeOf(input, identified.messageId, context.receivedAtMs)
  if (typeof time === 'string') return reject('events.invalid_timestamp', '/timestamp', time, input.messageId)
  const { content, line } = write(input, identified.messageId, time, context)
  if (Buffer.byteLength(line) > LIMITS.eventBytes) {
    return reject('events.too_large', '', `an event may hold ${LIMITS.eventBytes} bytes`, input.messageId)
  }
  const mark = markOf(identified.messageId, content, context)
  return { event: { ...identified, mark, line } }
}

const checker = TypeCompiler.Compile(EventInput)

function reject(code: string, path: string, message: string, messageId: string | null | undefined): Captured {
  return { rejection: { code, path, message, messageId: messageId ?? null } }
}

function explain(value: unknown): Rejection {
  const fault = checker.Errors(value).First()
  const id = typeof value === 'object' && value !== null && 'messageId' in value ? value.messageId : null
  return {
    code: 'events.invalid',
    path: fault?.path ?? '',
    message: fault?.message ?? 'is not an event',
    messageId: typeof id === 'string' ? id.slice(0, LIMITS.idLength) : null,
  }
}

interface Unsafe {
  path: string
  message: string
}

/** Refuses what would be stored differently from how it was sent, or could harm a reader: half characters, depth, prototypes. */
function findUnsafe(value: unknown, depth: number): Unsafe | undefined {
  if (typeof value === 'string') {
    return value.isWellFormed() ? undefined : { path: '', message: 'holds half of a surrogate pair' }
  }
  if (typeof value === 'number' && !isStorableNumber(value))
    return { path: '', message: 'is a number that is too large' }
  if (typeof value !== 'object' || value === null) return undefined
  if (depth > LIMITS.depth) return { path: '', message: `is nested deeper than ${LIMITS.depth} levels` }
  for (const key of Object.keys(value)) {
    if (key === '__proto__') return { path: '/__proto__', message: 'is a name that may not be used' }
    if (!key.isWellFormed()) return { path: '', message: 'has a name with half of a surrogate pair' }
    const unsafe = findUnsafe((value as Record<string, unknown>)[key], depth + 1)
    // The pointer is put together on the way out, since almost every event is safe.
    if (unsafe) return { ...unsafe, path: `/${pointerSegment(key)}${unsafe.path}` }
  }
  return undefined
}

/**
 * JSON reads 1e400 as infinity and would write null. Integers that it writes as digits and no 64-bit type holds make ClickHouse read
 * the event's whole column as empty.
 */
const isStorableNumber = (value: number) =>
  (value < 2 ** 64 && value >= -(2 ** 63)) || (Math.abs(value) >= 1e21 && Number.isFinite(value))

const pointerSegment = (key: string) => key.replaceAll('~', '~0').replaceAll('/', '~1')

function identify(input: EventInput, index: number, context: CaptureContext) {
  if (input.messageId !== undefined) return { messageId: input.messageId, retryStable: true }
  if (context.idempotencyKey === undefined) return { messageId: newId('evt'), retryStable: false }
  const seed = `${context.organizationId}\n${context.projectId}\n${context.idempotencyKey}\n${index}`
  return { messageId: `idem_${hash('sha256', seed).slice(0, 32)}`, retryStable: true }
}

/**
 * When the event happened. The day is part of the stored identity, so a retry must arrive at the same time: the sender's own, else
 * the one inside a version 7 UUID, and only then the time of receipt. A string says what is wrong.
 */
function timeOf(input: EventInput, messageId: string, receivedAtMs: number): number | string {
  if (input.timestamp === undefined) {
    const ms = uuidTime(messageId)
    return ms === undefined || implausible(ms, receivedAtMs) ? receivedAtMs : ms
  }
  const ms = timeToMs(input.timestamp)
  return implausible(ms, receivedAtMs) ?? ms
}

/** What is wrong with a time that a sender gives, or undefined: it must exist, and be near enough for a column to hold it. */
function implausible(ms: number, nowMs: number): string | undefined {
  if (Number.isNaN(ms)) return 'is not a date that exists'
  if (ms > nowMs + MAX_FUTURE_MS) return 'is more than a day in the future'
  if (ms < nowMs - MAX_PAST_MS) return 'is more than ten years in the past'
  return undefined
}

const LATEST_STORABLE_MS = Date.UTC(2200, 0)

/** Whether a column can hold the time. A sender's clock may be wrong by any amount, which is what \`sentAt\` is there to show. */
export const isStorableTime = (ms: number): boolean => ms >= 0 && ms < LATEST_STORABLE_MS

const UUID_V7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i

function uuidTime(messageId: string): number | undefined {
  const match = UUID_V7.exec(messageId)
  return match ? Number.parseInt(`${match[1]}${match[2]}`, 16) : undefined
}

/** `content` is everything that the sender said, without what we added: two copies of one event have the same. */
function write(input: EventInput, messageId: string, timeMs: number, context: CaptureContext) {
  const said = JSON.stringify({
    organization_id: context.organizationId,
    project_id: context.projectId,
    event: input.event,
    message_id: messageId,
    type: input.type ?? 'track',
    user_id: input.userId,
    anonymous_id: input.anonymousId,
    group_id: input.groupId,
    properties: input.properties,
    traits: input.traits,
    context: input.context,
  }).slice(0, -1)
  const sent = context.sentAtMs === undefined ? '' : `,"sent_at":"${toClickHouseTime(context.sentAtMs)}"`
  const received = toClickHouseTime(context.receivedAtMs)
  return {
    content: input.timestamp === undefined ? said : `${said},${timeMs}`,
    line: `${said},"timestamp":"${toClickHouseTime(timeMs)}"${sent},"received_at":"${received}"}`,
  }
}

/** `2026-01-31 23:59:59.999`, always UTC, which is the zone of the columns. */
const toClickHouseTime = (ms: number) => new Date(ms).toISOString().replace('T', ' ').slice(0, 23)

function markOf(messageId: string, content: string, { organizationId, projectId }: ProjectScope): Buffer {
  const mark = Buffer.allocUnsafe(24)
  hash('sha256', `${organizationId}\n${projectId}\n${messageId}`, 'buffer').copy(mark, 0, 0, 16)
  hash('sha256', content, 'buffer').copy(mark, 16, 0, 8)
  return mark
}
