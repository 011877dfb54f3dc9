import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { CapturedEvent } from './capture.ts'

/** A mark is what the door remembers of an event: 16 bytes of identity and 8 of content. */
export const MARK_BYTES = 24
const IDENTITY_BYTES = 16

/** The marks of a request's events, whose rows follow each other in `rows`. */
export function marksOf(events: readonly CapturedEvent[], rows: Buffer): Buffer {
  const marks = Buffer.allocUnsafe(events.length * MARK_BYTES)
  let at = 0
  let rowStart = 0
  for (const { messageId, contentBytes, row } of events) {
    writeIdentity(messageId, marks, at)
    // It only has to tell two copies from each other that happen to differ; the copy is not stored either way.
    marks.writeUInt32LE(crc32(rows.subarray(rowStart, rowStart + contentBytes)), at + IDENTITY_BYTES)
    marks.writeUInt32LE(contentBytes, at + IDENTITY_BYTES + 4)
    at += MARK_BYTES
    rowStart += row.length
  }
  return marks
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
