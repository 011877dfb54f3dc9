import type { Enrichment, EnrichmentColumn } from './columns.ts'

/** Text in which each character is one byte of UTF-8. */
type ByteString = string

/** Some columns of an enrichment, and beside them the bytes that a row holds of them, which are made once and joined many times. */
export interface Part<T> {
  value: T
  bytes: ByteString
}

/** The values as ClickHouse's RowBinary, in the order of the columns. */
export function encodePart<T extends Partial<Enrichment>>(columns: readonly EnrichmentColumn[], value: T): Part<T> {
  const bytes = columns.map(([, key, type]) => {
    const given = value[key]
    if (type === 'String') return encodeText(String(given))
    return type === 'UInt8' ? String.fromCharCode(Number(given)) : encodeInt64(Number(given))
  })
  return { value, bytes: bytes.join('') }
}

function encodeText(text: string): ByteString {
  const bytes = toBytes(text)
  let size = ''
  let rest = bytes.length
  for (; rest > 127; rest >>>= 7) size += String.fromCharCode((rest & 127) | 128)
  return size + String.fromCharCode(rest) + bytes
}

function encodeInt64(value: number): ByteString {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64LE(BigInt(value))
  return bytes.toString('latin1')
}

const NOT_ASCII = /[^\0-\x7f]/

export const toBytes = (text: string): ByteString =>
  NOT_ASCII.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text
export const fromBytes = (bytes: ByteString): string =>
  NOT_ASCII.test(bytes) ? Buffer.from(bytes, 'latin1').toString('utf8') : bytes
