import { type BufferEntry, newRows } from './buffer.ts'
import { decodeRow, type EventRow } from './row.ts'

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

export function planBatch(shard: number, entries: BufferEntry[]): Batch {
  const first = entries.at(0)?.id
  const last = entries.at(-1)?.id
  if (first === undefined || last === undefined) throw new Error('a batch needs at least one entry')
  const rows = entries.reduce((sum, entry) => sum + entry.count, 0)
  const bytes = entries.reduce((sum, entry) => sum + entry.rows.length, 0)
  return { id: `${shard}:${first}:${last}`, first, last, rows, bytes, entries }
}

/** The insert's body. Entries whose events were all new pass through untouched. */
export function* batchBody(entries: BufferEntry[]): Generator<Buffer> {
  for (const entry of entries) {
    if (entry.mask === '') yield entry.rows
    else yield* newRows(entry)
  }
}

/** A row that has been read again, which only doubt and refusal make necessary. */
export interface Row {
  identity: string
  event: EventRow
  bytes: Buffer
}

export function* batchRows(batch: Batch): Generator<Row> {
  for (const entry of batch.entries) {
    for (const bytes of newRows(entry)) {
      const event = decodeRow(bytes)
      yield { identity: rowIdentity(event.project_id, event.message_id), event, bytes }
    }
  }
}

export const rowIdentity = (projectId: string, messageId: string) => `${projectId}\n${messageId}`
