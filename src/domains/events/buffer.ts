import { createHash } from 'node:crypto'

/**
 * The event buffer: one Redis stream per shard. Everything that one organization's admission touches shares the hash tag of its
 * shard, so that admission is one script on one node, on a single Redis and on a cluster alike.
 */
export function bufferKeys(shard: number) {
  const tag = `mh:{${shard}}`
  return {
    /** Entries in the order of admission; each holds the new events of one request. */
    stream: `${tag}:stream`,
    /** Prefix of the hashes that remember which events were admitted, one hash per window of time. */
    marks: `${tag}:marks:`,
    /** Prefix of the burst counters, one per organization. */
    burst: `${tag}:burst:`,
    /** Prefix of the counters of accepted events, one hash per calendar month with a field per organization. */
    accepted: `${tag}:accepted:`,
    /** Id of the last entry that ClickHouse provably holds. */
    cursor: `${tag}:cursor`,
    /** The batch that is being stored, written down before its insert is sent. */
    sealed: `${tag}:sealed`,
    /** Holder of the shard's one sink, and the number of the lease: a sink with an older number may change nothing. */
    lease: `${tag}:lease`,
    epoch: `${tag}:epoch`,
    /** Rows that ClickHouse refuses, by identity. */
    dead: `${tag}:dead`,
  }
}

/** The shard of an organization. Stable for a given number of shards. */
export function shardOf(organizationId: string, shards: number): number {
  return createHash('sha256').update(organizationId).digest().readUInt32BE(0) % shards
}

export interface BufferEntry {
  id: string
  projectId: string
  organizationId: string
  rows: number
  /** '1' for each event that was new and '0' for each that was not, in the order of the lines; '' when all were new. */
  mask: string
  /** ClickHouse rows as JSON lines, joined by newlines, the ones that were not new included. */
  lines: Buffer
}

/** A stream entry as ioredis returns it from a Buffer command. */
export type RawEntry = [id: Buffer, fields: Buffer[]]

/** Inverse of the XADD in admit.lua: o, p, n, v, b. */
export function decodeEntry([id, fields]: RawEntry): BufferEntry {
  const [, organizationId, , projectId, , rows, , mask, , lines] = fields
  if (!organizationId || !projectId || !rows || !mask || !lines)
    throw new Error(`buffer entry ${id} is not one of ours`)
  return {
    id: id.toString(),
    organizationId: organizationId.toString(),
    projectId: projectId.toString(),
    rows: Number(rows),
    mask: mask.toString('latin1'),
    lines,
  }
}

/** The lines of the entry's new events. */
export function* newLines({ mask, lines }: BufferEntry): Generator<Buffer> {
  let start = 0
  for (let index = 0; start <= lines.length; index++) {
    const newline = lines.indexOf(10, start)
    const end = newline === -1 ? lines.length : newline
    if (mask === '' || mask[index] === '1') yield lines.subarray(start, end)
    start = end + 1
  }
}

/** Milliseconds of a stream id. */
export const idToMs = (id: string): number => Number(id.slice(0, id.indexOf('-')))
