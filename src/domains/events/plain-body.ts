import type { ByteString } from './row.ts'
import { names, skipNumber, skipObject, skipPlainString, skipSpace, UNRECOGNIZED } from './scan.ts'
import { LIMITS } from './schemas.ts'

/** The fields of one valid event, each as the bytes that its column will hold; '' for a field that the sender left out. */
export interface EventFields {
  event: ByteString
  messageId: ByteString
  type: ByteString
  userId: ByteString
  anonymousId: ByteString
  groupId: ByteString
  /** Epoch milliseconds. */
  timestamp: number | undefined
  properties: ByteString
  traits: ByteString
  context: ByteString
}

export interface PlainBody {
  events: EventFields[]
  /** RFC 3339 text or epoch milliseconds, unchecked. */
  sentAt: string | number | undefined
}

/**
 * Reads a body that is as most are: the native event with plain identifiers, alone, in an array or in a batch. It is the fast way
 * of the hot path and decides nothing: what it reads is valid and means what a parser would read, and for everything else it
 * returns null, so that the parser reads the body and says what is wrong with it.
 */
export function readPlainBody(text: ByteString): PlainBody | null {
  const at = skipSpace(text, 0)
  if (text[at] === '[') return wholeBody(text, readArray(text, at), undefined)
  if (text[at] !== '{') return null
  const first = skipSpace(text, at + 1)
  if (text.startsWith('"batch"', first) || text.startsWith('"sentAt"', first)) return readBatch(text, first)
  const read = readEvent(text, at)
  return wholeBody(text, read && { events: [read.fields], end: read.end }, undefined)
}

/** Reads one event per line; null when a line holds anything else. */
export function readPlainLines(text: ByteString): PlainBody | null {
  const events: EventFields[] = []
  for (let at = skipSpace(text, 0); at < text.length; ) {
    const read = events.length < LIMITS.events ? readEvent(text, at) : null
    if (!read || text.slice(at, read.end).includes('\n')) return null
    events.push(read.fields)
    at = skipSpace(text, read.end)
    if (at < text.length && !text.slice(read.end, at).includes('\n')) return null
  }
  return { events, sentAt: undefined }
}

interface ReadEvents {
  events: EventFields[]
  end: number
}

function wholeBody(text: ByteString, read: ReadEvents | null, sentAt: PlainBody['sentAt']): PlainBody | null {
  return read && skipSpace(text, read.end) === text.length ? { events: read.events, sentAt } : null
}

function readArray(text: ByteString, at: number): ReadEvents | null {
  const events: EventFields[] = []
  let position = skipSpace(text, at + 1)
  if (text[position] === ']') return { events, end: position + 1 }
  for (;;) {
    const read = events.length < LIMITS.events ? readEvent(text, position) : null
    if (!read) return null
    events.push(read.fields)
    position = skipSpace(text, read.end)
    if (text[position] === ']') return { events, end: position + 1 }
    if (text[position] !== ',') return null
    position = skipSpace(text, position + 1)
  }
}

/** `{ batch, sentAt }` in either order, from its first name on. */
function readBatch(text: ByteString, first: number): PlainBody | null {
  let read: ReadEvents | null = null
  let sentAt: PlainBody['sentAt']
  let position = first
  for (;;) {
    if (!read && text.startsWith('"batch"', position)) {
      position = valueAfter(text, position + 7)
      read = text[position] === '[' ? readArray(text, position) : null
      if (!read) return null
      position = read.end
    } else if (sentAt === undefined && text.startsWith('"sentAt"', position)) {
      position = valueAfter(text, position + 8)
      const end = text[position] === '"' ? skipPlainString(text, position) : skipNumber(text, position)
      if (end === UNRECOGNIZED) return null
      sentAt = JSON.parse(text.slice(position, end)) as string | number
      position = end
    } else {
      return null
    }
    position = skipSpace(text, position)
    if (text[position] === '}') return wholeBody(text, read && { ...read, end: position + 1 }, sentAt)
    if (text[position] !== ',') return null
    position = skipSpace(text, position + 1)
  }
}

/** The position of the value after a name's closing quote; the text's end, where no value is, when there is no colon. */
function valueAfter(text: ByteString, at: number): number {
  const colon = skipSpace(text, at)
  return text[colon] === ':' ? skipSpace(text, colon + 1) : text.length
}

const TYPES: ReadonlySet<string> = new Set(['track', 'identify', 'page', 'screen', 'group', 'alias'])
type Name = keyof EventFields
const NAMES_BY_LENGTH: Record<number, readonly Name[]> = {
  4: ['type'],
  5: ['event'],
  6: ['userId', 'traits'],
  7: ['groupId', 'context'],
  9: ['messageId', 'timestamp'],
  10: ['properties'],
  11: ['anonymousId'],
}

function readEvent(text: ByteString, at: number): { fields: EventFields; end: number } | null {
  if (text[at] !== '{') return null
  names.reset()
  const fields: EventFields = {
    event: '',
    messageId: '',
    type: '',
    userId: '',
    anonymousId: '',
    groupId: '',
    timestamp: undefined,
    properties: '',
    traits: '',
    context: '',
  }
  let position = skipSpace(text, at + 1)
  for (;;) {
    const nameEnd = skipPlainString(text, position)
    if (nameEnd === UNRECOGNIZED) return null
    const name = nameOf(text, position + 1, nameEnd - 1)
    // A second member of one name, or one whose first was empty and so refused.
    if (!name || (fields[name] !== '' && fields[name] !== undefined)) return null
    const start = valueAfter(text, nameEnd)
    position = readField(text, start, name, fields)
    if (position === UNRECOGNIZED) return null
    position = skipSpace(text, position)
    const code = text.charCodeAt(position)
    if (code === 125) break
    if (code !== 44) return null
    position = skipSpace(text, position + 1)
  }
  const end = position + 1
  if (fields.event === '' || end - at > LIMITS.eventBytes) return null
  if (fields.type === '') fields.type = 'track'
  return { fields, end }
}

function nameOf(text: ByteString, start: number, end: number): Name | undefined {
  const candidates = NAMES_BY_LENGTH[end - start]
  if (!candidates) return undefined
  for (const name of candidates) if (text.startsWith(name, start)) return name
  return undefined
}

/** Puts the value at `at` into its field; returns where it ends. */
function readField(text: ByteString, at: number, name: Name, fields: EventFields): number {
  if (name === 'properties' || name === 'traits' || name === 'context') {
    const end = text.charCodeAt(at) === 123 ? skipObject(text, at, LIMITS.depth) : UNRECOGNIZED
    if (end !== UNRECOGNIZED) fields[name] = text.slice(at, end)
    return end
  }
  if (name === 'timestamp') return readTime(text, at, fields)
  const end = skipPlainString(text, at)
  // In bytes, so a text of the permitted length with many characters beyond ASCII is left to the parser.
  const length = end - at - 2
  if (end === UNRECOGNIZED || length === 0 || length > LIMITS.idLength) return UNRECOGNIZED
  const value = text.slice(at + 1, end - 1)
  if (name === 'type' && !TYPES.has(value)) return UNRECOGNIZED
  fields[name] = value
  return end
}

function readTime(text: ByteString, at: number, fields: EventFields): number {
  if (text.charCodeAt(at) === 34) {
    fields.timestamp = plainTime(text, at + 1)
    return fields.timestamp === undefined ? UNRECOGNIZED : at + 26
  }
  const end = skipNumber(text, at)
  if (end === UNRECOGNIZED) return UNRECOGNIZED
  const ms = Number(text.slice(at, end))
  if (!Number.isInteger(ms) || ms < 0) return UNRECOGNIZED
  fields.timestamp = ms
  return end
}

let knownDay = ''
let knownDayMs = 0

/** The one form of time that programs write, `2026-01-31T23:59:59.999Z`, closing quote included. Anything else is undefined. */
function plainTime(text: ByteString, at: number): number | undefined {
  const clock = text.slice(at + 10, at + 25)
  if (!/^T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z"$/.test(clock)) return undefined
  const day = text.slice(at, at + 10)
  if (day !== knownDay) {
    const ms = /^\d{4}-\d{2}-\d{2}$/.test(day) ? Date.parse(`${day}T00:00:00.000Z`) : Number.NaN
    // Date.parse reads 30 February as 2 March; the parser's way refuses it.
    if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== day) return undefined
    knownDay = day
    knownDayMs = ms
  }
  const digits = (from: number) => (clock.charCodeAt(from) - 48) * 10 + clock.charCodeAt(from + 1) - 48
  const seconds = digits(1) * 3600 + digits(4) * 60 + digits(7)
  return knownDayMs + seconds * 1000 + digits(10) * 10 + clock.charCodeAt(12) - 48
}
