import { TypeCompiler } from '@sinclair/typebox/compiler'
import { timeToMs } from '../../http/schemas.ts'
import type { EventFields } from './plain-body.ts'
import type { Rejection } from './rejection.ts'
import { toBytes } from './row.ts'
import { EventInput, LIMITS } from './schemas.ts'

const checker = TypeCompiler.Compile(EventInput)

/** The fields of an event that came as a parsed value, or what is wrong with it. */
export function fieldsOf(value: unknown): EventFields | { rejection: Rejection } {
  if (!checker.Check(value)) return { rejection: explain(value) }
  const unsafe = findUnsafe(value, 0)
  const messageId = value.messageId ?? null
  if (unsafe) return { rejection: { code: 'events.invalid_content', ...unsafe, messageId } }
  const timestamp = value.timestamp === undefined ? undefined : timeToMs(value.timestamp)
  const fields: EventFields = {
    event: toBytes(value.event),
    messageId: toBytes(value.messageId ?? ''),
    type: value.type ?? 'track',
    userId: toBytes(value.userId ?? ''),
    anonymousId: toBytes(value.anonymousId ?? ''),
    groupId: toBytes(value.groupId ?? ''),
    timestamp,
    properties: bag(value.properties),
    traits: bag(value.traits),
    context: bag(value.context),
  }
  const bytes = fields.properties.length + fields.traits.length + fields.context.length
  if (bytes <= LIMITS.eventBytes) return fields
  const message = `an event may hold ${LIMITS.eventBytes} bytes`
  return { rejection: { code: 'events.too_large', path: '', message, messageId } }
}

const bag = (value: Record<string, unknown> | undefined) => (value === undefined ? '' : toBytes(JSON.stringify(value)))

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
