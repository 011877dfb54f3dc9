import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { CapturedEvent } from './captured-event.ts'
import { fromBytes } from './row.ts'

/**
 * The captured events of one request as admission takes them. Nothing in it holds on to the request's text: while the request waits
 * for the buffer its bytes are outside of the heap.
 */
export interface PackedEvents {
  /** Where in `rows` the messageId of each event stands, and whether a retry repeats it. */
  ids: { start: number; end: number; retryStable: boolean }[]
  /** The rows of all events, one after the other. */
  rows: Buffer
  /** What the door remembers: for each event 16 bytes of identity and 8 of content. */
  marks: Buffer
  /** The hours that the events touch, for whoever keeps sums by the hour. */
  hours: number[]
  /** The month of receipt in UTC, `2026-01`, by which they are counted. */
  month: string
}

const IDENTITY_BYTES = 16
const MARK_BYTES = 24
const HOUR_MS = 3_600_000

export function packEvents(events: readonly CapturedEvent[], receivedAtMs: number): PackedEvents {
  const rows = Buffer.from(events.map(({ row }) => row).join(''), 'latin1')
  const marks = Buffer.allocUnsafe(events.length * MARK_BYTES)
  const hours = new Set<number>()
  const ids: PackedEvents['ids'] = []
  let at = 0
  let rowStart = 0
  for (const { messageId, retryStable, occurredAtMs, contentBytes, idPlace, row } of events) {
    writeIdentity(messageId, marks, at)
    // It only has to tell two copies from each other that happen to differ; the copy is not stored either way.
    marks.writeUInt32LE(crc32(rows.subarray(rowStart, rowStart + contentBytes)), at + IDENTITY_BYTES)
    marks.writeUInt32LE(contentBytes, at + IDENTITY_BYTES + 4)
    hours.add(Math.floor(occurredAtMs / HOUR_MS))
    ids.push({ start: rowStart + idPlace.start, end: rowStart + idPlace.end, retryStable })
    at += MARK_BYTES
    rowStart += row.length
  }
  return { ids, rows, marks, hours: [...hours], month: monthOf(receivedAtMs) }
}

let lastMonth = { fromMs: 0, toMs: 0, name: '' }

/** Asked for each request, so the answer is kept while it holds. */
function monthOf(ms: number): string {
  if (ms < lastMonth.fromMs || ms >= lastMonth.toMs) {
    const date = new Date(ms)
    const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()]
    lastMonth = {
      fromMs: Date.UTC(year, month),
      toMs: Date.UTC(year, month + 1),
      name: date.toISOString().slice(0, 7),
    }
  }
  return lastMonth.name
}

/** The messageId of one of the packed events. */
export function messageIdOf({ ids, rows }: PackedEvents, position: number): string {
  const place = ids[position]
  return place ? fromBytes(rows.toString('latin1', place.start, place.end)) : ''
}

/** What several requests give to the buffer as one. */
export function joinPacked(packed: readonly PackedEvents[]): Omit<PackedEvents, 'ids' | 'month'> {
  if (packed.length === 1 && packed[0]) return packed[0]
  return {
    rows: Buffer.concat(packed.map(({ rows }) => rows)),
    marks: Buffer.concat(packed.map(({ marks }) => marks)),
    hours: [...new Set(packed.flatMap(({ hours }) => hours))],
  }
}

/** 16 bytes for a messageId within its project: a UUID's own, else a part of its SHA-256. */
export function identityOf(messageId: string): Buffer {
  const identity = Buffer.allocUnsafe(IDENTITY_BYTES)
  writeIdentity(messageId, identity, 0)
  return identity
}

function writeIdentity(messageId: string, target: Buffer, at: number): void {
  if (!writeUuid(messageId, target, at)) hash('sha256', messageId, 'buffer').copy(target, at, 0, IDENTITY_BYTES)
}

const NIBBLES = new Int8Array(128).fill(-1)
for (let value = 0; value < 16; value++) NIBBLES[value.toString(16).charCodeAt(0)] = value

/** Where each byte of a UUID stands in its text. */
const BYTE_PLACES = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34]

/** Packs a UUID in its canonical, lower-case form, so that no two texts share their bytes; false for any other text. */
function writeUuid(text: string, target: Buffer, at: number): boolean {
  if (text.length !== 36 || text[8] !== '-' || text[13] !== '-' || text[18] !== '-' || text[23] !== '-') return false
  for (let index = 0; index < IDENTITY_BYTES; index++) {
    const place = BYTE_PLACES[index] as number
    const high = NIBBLES[text.charCodeAt(place)] ?? -1
    const low = NIBBLES[text.charCodeAt(place + 1)] ?? -1
    if (high < 0 || low < 0) return false
    target[at + index] = high * 16 + low
  }
  return true
}
