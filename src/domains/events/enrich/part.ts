import { type ByteString, stringColumn, timeColumn, toBytes } from '../row.ts'
import type { Enrichment, EnrichmentColumn } from './columns.ts'

/** Some columns of an enrichment, and beside them the bytes that a row holds of them, which are made once and joined many times. */
export interface Part<T> {
  value: T
  bytes: ByteString
}

/** The values as ClickHouse's RowBinary, in the order of the columns. */
export function encodePart<T extends Partial<Enrichment>>(columns: readonly EnrichmentColumn[], value: T): Part<T> {
  const bytes = columns.map(([, key, type]) => {
    const given = value[key]
    if (type === 'String') return stringColumn(toBytes(String(given)))
    return type === 'UInt8' ? String.fromCharCode(Number(given)) : timeColumn(Number(given))
  })
  return { value, bytes: bytes.join('') }
}
