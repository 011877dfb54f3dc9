import { setImmediate as turn } from 'node:timers/promises'
import { type BufferEntry, type Lane, newRows } from './buffer.ts'
import { decodeColumns, type RowColumns } from './row.ts'

/** A contiguous range of buffer entries that is stored as one insert. It can be rebuilt byte by byte from its first and last id. */
export interface Batch {
  /** Names the content: the same range always holds the same rows, so the id serves as de-duplication token. */
  id: string
  first: string
  last: string
  rows: number
  bytes: number
  entries: BufferEntry[]
}

/** What is written down before the insert is sent. */
export type SealedRecord = Pick<Batch, 'first' | 'last'>

export function planBatch(shard: number, lane: Lane, entries: BufferEntry[]): Batch {
  const first = entries.at(0)?.id
  const last = entries.at(-1)?.id
  if (first === undefined || last === undefined) throw new Error('a batch needs at least one entry')
  const rows = entries.reduce((sum, entry) => sum + entry.count, 0)
  const bytes = entries.reduce((sum, entry) => sum + entry.rows.length, 0)
  return { id: `${shard}.${lane}:${first}:${last}`, first, last, rows, bytes, entries }
}

/** The insert's body. Entries whose events were all new pass through untouched. */
export function* batchBody(entries: BufferEntry[], columns: RowColumns): Generator<Buffer> {
  for (const entry of entries) {
    if (entry.mask === '') yield entry.rows
    else yield* newRows(entry, columns)
  }
}

/** What the rows of every table say about themselves. */
interface OwnedRow {
  organization_id: string
  project_id: string
  message_id: string
  received_at: number
}

/** A row that has been read again, which only doubt and refusal make necessary. */
export interface Row {
  identity: string
  values: OwnedRow
  bytes: Buffer
}

/** All rows of a batch. Requests of the same process get their turn after each entry. */
export async function batchRows(batch: Batch, columns: RowColumns): Promise<Row[]> {
  const rows: Row[] = []
  for (const entry of batch.entries) {
    for (const bytes of newRows(entry, columns)) {
      const values = decodeColumns(columns, bytes) as unknown as OwnedRow
      rows.push({ identity: rowIdentity(values.project_id, values.message_id), values, bytes })
    }
    await turn()
  }
  return rows
}

export const rowIdentity = (projectId: string, messageId: string) => `${projectId}\n${messageId}`
