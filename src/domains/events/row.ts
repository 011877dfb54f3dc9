import { Buffer } from 'node:buffer'
import { ENRICHMENT_COLUMNS } from './enrich/columns.ts'

/**
 * Text in which each character is one byte of UTF-8. The hot path cuts and joins such texts as they came, because a slice costs
 * nothing and a byte is never decoded and encoded again.
 */
export type ByteString = string

export const toBytes = (text: string): ByteString =>
  isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
export const fromBytes = (bytes: ByteString): string =>
  isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString()

const NOT_ASCII = /[^\0-\x7f]/
const isAscii = (text: string) => !NOT_ASCII.test(text)

type ColumnType = 'string' | 'time' | 'nullable time' | 'uint32' | 'uint8'
/** The columns of a table in the order of its rows. */
export type RowColumns = readonly (readonly [string, ColumnType])[]

/** What the sender said, and when we heard it. */
const SAID = [
  ['organization_id', 'string'],
  ['project_id', 'string'],
  ['event', 'string'],
  ['message_id', 'string'],
  ['type', 'string'],
  ['user_id', 'string'],
  ['anonymous_id', 'string'],
  ['group_id', 'string'],
  ['properties', 'string'],
  ['traits', 'string'],
  ['context', 'string'],
  ['timestamp', 'time'],
  ['sent_at', 'nullable time'],
  ['received_at', 'time'],
] as const satisfies RowColumns

const ENRICHMENT_TYPES = { String: 'string', UInt8: 'uint8', Int64: 'time' } as const

/**
 * The columns of one event in the order in which a row holds them, as ClickHouse's RowBinary. What the sender said comes first and
 * what we add comes last, so that the first part of two copies of one event is the same bytes.
 */
export const ROW: RowColumns = [
  ...SAID,
  ...ENRICHMENT_COLUMNS.map(([name, , type]) => [name, ENRICHMENT_TYPES[type]] as const),
]

/** A row that has been read again: times as epoch milliseconds, texts as text, bags as their JSON text or empty. */
export type RowOf<Columns extends RowColumns> = { [Column in Columns[number] as Column[0]]: Decoded[Column[1]] }
export type EventRow = RowOf<typeof SAID> & {
  [Column in (typeof ENRICHMENT_COLUMNS)[number] as Column[0]]: Column[2] extends 'String' ? string : number
}
interface Decoded {
  string: string
  time: number
  'nullable time': number | null
  uint32: number
  uint8: number
}

const SIZES = Array.from({ length: 16_384 }, (_, size) => encodeSize(size))

function encodeSize(size: number): ByteString {
  let bytes = ''
  let rest = size
  while (rest > 127) {
    bytes += String.fromCharCode((rest & 127) | 128)
    rest >>>= 7
  }
  return bytes + String.fromCharCode(rest)
}

/** A String column. */
export const stringColumn = (bytes: ByteString): ByteString => (SIZES[bytes.length] ?? encodeSize(bytes.length)) + bytes

/** A DateTime64(3) column, of epoch milliseconds. */
export function timeColumn(ms: number): ByteString {
  const low = ms >>> 0
  const high = Math.floor(ms / 2 ** 32)
  return String.fromCharCode(
    ...[low & 255, (low >>> 8) & 255, (low >>> 16) & 255, low >>> 24],
    ...[high & 255, (high >>> 8) & 255, (high >>> 16) & 255, (high >>> 24) & 255],
  )
}

/** A Nullable(DateTime64(3)) column. */
export const nullableTimeColumn = (ms: number | undefined): ByteString =>
  ms === undefined ? '\x01' : `\0${timeColumn(ms)}`

/** A UInt32 column. */
export const uint32Column = (value: number): ByteString =>
  String.fromCharCode(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24)

/** Where the row that begins at `at` ends. Throws when the bytes are not rows. */
export function rowEnd(bytes: Buffer, at: number, columns: RowColumns = ROW): number {
  let position = at
  for (const [, type] of columns) position = columnEnd(bytes, position, type)
  if (position > bytes.length) throw new Error('the row is cut off')
  return position
}

function columnEnd(bytes: Buffer, at: number, type: ColumnType): number {
  if (type === 'time') return at + 8
  if (type === 'nullable time') return at + (bytes[at] === 0 ? 9 : 1)
  if (type === 'uint32') return at + 4
  if (type === 'uint8') return at + 1
  const { size, start } = readSize(bytes, at)
  return start + size
}

function readSize(bytes: Buffer, at: number): { size: number; start: number } {
  let size = 0
  let position = at
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[position++]
    if (byte === undefined || shift > 28) throw new Error('the row is cut off')
    size += (byte & 127) * 2 ** shift
    if (byte < 128) return { size, start: position }
  }
}

/** Reads one row of an event, given exactly its bytes. */
export const decodeRow = (bytes: Buffer): EventRow => decodeColumns(ROW, bytes) as unknown as EventRow

/** Reads one row of a table, given exactly its bytes. */
export function decodeColumns<Columns extends RowColumns>(columns: Columns, bytes: Buffer): RowOf<Columns> {
  const row: Record<string, string | number | null> = {}
  let at = 0
  for (const [name, type] of columns) {
    const end = columnEnd(bytes, at, type)
    if (type === 'string') row[name] = bytes.toString('utf8', readSize(bytes, at).start, end)
    else if (type === 'time') row[name] = Number(bytes.readBigInt64LE(at))
    else if (type === 'uint32') row[name] = bytes.readUInt32LE(at)
    else if (type === 'uint8') row[name] = bytes.readUInt8(at)
    else row[name] = bytes[at] === 0 ? Number(bytes.readBigInt64LE(at + 1)) : null
    at = end
  }
  return row as RowOf<Columns>
}

/** Reads one time of a row, and nothing else of it. */
export function readTime(bytes: Buffer, column: string, columns: RowColumns = ROW): number {
  let at = 0
  for (const [name, type] of columns) {
    if (name === column) return Number(bytes.readBigInt64LE(at))
    at = columnEnd(bytes, at, type)
  }
  throw new Error(`a row has no column ${column}`)
}
