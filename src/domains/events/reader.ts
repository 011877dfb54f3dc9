import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { type BufferEntry, decodeEntry, idToMs, type RawEntry } from './buffer.ts'

interface ReaderOptions {
  redis: Redis
  /** A connection of the reader's own, for XREAD BLOCK. */
  blockingRedis: Redis
  stream: string
  rowsMax: number
  flushIntervalMs: number
  signal: AbortSignal
}

const SCRIPT = readFileSync(new URL('read.lua', import.meta.url), 'utf8')
const BYTES_MAX = 32 * 1024 * 1024
const IDLE_BLOCK_MS = 1000

type ReadCommand = (stream: string, after: string, bytes: number, rows: number) => Promise<RawEntry[]>

/**
 * Gathers what comes after an id into the entries of one batch: as much as fits, once it is full or its first entry has waited for
 * the flush interval. Resolves to nothing when nothing came for a second.
 */
export function createReader({ redis, blockingRedis, stream, rowsMax, flushIntervalMs, signal }: ReaderOptions) {
  redis.defineCommand('readBuffered', { numberOfKeys: 1, lua: SCRIPT })
  const command = (redis as unknown as { readBufferedBuffer: ReadCommand }).readBufferedBuffer.bind(redis)
  const read = async (after: string, bytes: number, rows: number) =>
    (await command(stream, after, bytes, rows)).map(decodeEntry)

  return async function gather(after: string): Promise<BufferEntry[]> {
    const entries = await read(after, BYTES_MAX, rowsMax)
    const [first, last] = [entries[0], entries.at(-1)]
    if (!first || !last) {
      await blockingRedis.xread('COUNT', 1, 'BLOCK', IDLE_BLOCK_MS, 'STREAMS', stream, after)
      return []
    }
    const bytes = BYTES_MAX - entries.reduce((sum, entry) => sum + entry.rows.length, 0)
    const rows = rowsMax - entries.reduce((sum, entry) => sum + entry.count, 0)
    const waitMs = flushIntervalMs - (Date.now() - idToMs(first.id))
    if (bytes <= 0 || rows <= 0 || waitMs <= 0) return entries
    await delay(Math.min(waitMs, flushIntervalMs), undefined, { signal })
    const company = await read(last.id, bytes, rows)
    // A single entry may exceed what is left; it begins the next batch then.
    const fits =
      company.length > 1 || (company[0] !== undefined && company[0].count <= rows && company[0].rows.length <= bytes)
    return fits ? [...entries, ...company] : entries
  }
}
