import { type BufferEntry, newLines } from './buffer.ts'

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
  const rows = entries.reduce((sum, entry) => sum + entry.rows, 0)
  const bytes = entries.reduce((sum, entry) => sum + entry.lines.length, 0)
  return { id: `${shard}:${first}:${last}`, first, last, rows, bytes, entries }
}

const NEWLINE = Buffer.from('\n')

/** The insert's body. Entries whose events were all new pass through untouched. */
export function* batchBody(entries: BufferEntry[]): Generator<Buffer> {
  for (const entry of entries) {
    if (entry.mask === '') {
      yield entry.lines
      yield NEWLINE
    } else {
      yield* linesBody(newLines(entry))
    }
  }
}

export function* linesBody(lines: Iterable<Buffer>): Generator<Buffer> {
  for (const line of lines) {
    yield line
    yield NEWLINE
  }
}

/** A row that has been parsed again, which only doubt and refusal make necessary. */
export interface Row {
  identity: string
  organizationId: string
  receivedAt: string
  line: Buffer
}

export function* batchRows(batch: Batch): Generator<Row> {
  for (const entry of batch.entries) {
    for (const line of newLines(entry)) {
      const { message_id, received_at } = JSON.parse(line.toString()) as { message_id: string; received_at: string }
      yield {
        identity: rowIdentity(entry.projectId, message_id),
        organizationId: entry.organizationId,
        receivedAt: received_at,
        line,
      }
    }
  }
}

export const rowIdentity = (projectId: string, messageId: string) => `${projectId}\n${messageId}`
