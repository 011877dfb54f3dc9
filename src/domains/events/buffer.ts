import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { ROW, type RowColumns, rowEnd } from './row.ts'

/** The ways through the buffer. Each is a stream with a sink of its own, so that none waits for another. */
export const LANES = ['live', 'import', 'quarantine'] as const
export type Lane = (typeof LANES)[number]

/**
 * The event buffer: one Redis stream per shard and lane. Everything that one organization's admission touches shares the hash tag
 * of its shard, so that admission is one script on one node, on a single Redis and on a cluster alike.
 */
export function bufferKeys(shard: number, lane: Lane = 'live') {
  const tag = `mh:{${shard}}`
  const ofLane = lane === 'live' ? tag : `${tag}:${lane}`
  // What is in quarantine may still be sent in a better form, so it has marks and counts of its own.
  const ofEvents = lane === 'quarantine' ? ofLane : tag
  return {
    /** Entries in the order of admission; each holds the new events of one or several requests of one project. */
    stream: `${ofLane}:stream`,
    /** Prefix of the hashes that remember which events were admitted, one hash per project and window of time. */
    marks: `${ofEvents}:marks:`,
    /** Prefix of the burst counters, one per organization. */
    burst: `${tag}:burst:`,
    /** Prefix of the counters of accepted events, one hash per calendar month with a field per organization. */
    accepted: `${ofEvents}:accepted:`,
    /** Prefix of the quotas, one hash per organization; see quota.lua. */
    quota: `${tag}:quota:`,
    /** Organizations whose quota changed its state, and those of which something is held, each with the revision of the mark. */
    quotaChanged: `${tag}:quota-changed`,
    quotaHeld: `${tag}:quota-held`,
    /** Id of the last entry that ClickHouse provably holds. */
    cursor: `${ofLane}:cursor`,
    /** The batch that is being stored, written down before its insert is sent. */
    sealed: `${ofLane}:sealed`,
    /** Holder of the one sink, and the number of the lease: a sink with an older number may change nothing. */
    lease: `${ofLane}:lease`,
    epoch: `${ofLane}:epoch`,
  }
}

const shardNumbers = new LRUCache<string, number>({ max: 10_000 })

/** The shard of an organization. Stable for a given number of shards. */
export function shardOf(organizationId: string, shards: number): number {
  let number = shardNumbers.get(organizationId)
  if (number === undefined) {
    number = createHash('sha256').update(organizationId).digest().readUInt32BE(0)
    shardNumbers.set(organizationId, number)
  }
  return number % shards
}

export interface BufferEntry {
  id: string
  projectId: string
  organizationId: string
  /** How many of the rows are new. */
  count: number
  /** '1' for each row that is new and '0' for each that is not, in their order; '' when all are new. */
  mask: string
  /** The hours that the events touch, as epoch milliseconds divided by 3,600,000. */
  hours: number[]
  /** ClickHouse rows as RowBinary, the ones that are not new included. */
  rows: Buffer
}

/** A stream entry as ioredis returns it from a Buffer command. */
export type RawEntry = [id: Buffer, fields: Buffer[]]

/** Inverse of the XADD in admit.lua: o, p, n, v, h, b. */
export function decodeEntry([id, fields]: RawEntry): BufferEntry {
  const [, organizationId, , projectId, , count, , mask, , hours, , rows] = fields
  if (!organizationId || !projectId || !count || !mask || !hours || !rows)
    throw new Error(`buffer entry ${id} is not one of ours`)
  return {
    id: id.toString(),
    organizationId: organizationId.toString(),
    projectId: projectId.toString(),
    count: Number(count),
    mask: mask.toString('latin1'),
    hours: hours.toString().split(',').map(Number),
    rows,
  }
}

/** The entry's new rows, of the table that its lane ends in. */
export function* newRows({ mask, rows }: BufferEntry, columns: RowColumns = ROW): Generator<Buffer> {
  for (let start = 0, index = 0; start < rows.length; index++) {
    const end = rowEnd(rows, start, columns)
    if (mask === '' || mask[index] === '1') yield rows.subarray(start, end)
    start = end
  }
}

/** Milliseconds of a stream id. */
export const idToMs = (id: string): number => Number(id.slice(0, id.indexOf('-')))
