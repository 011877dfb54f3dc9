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
/** What one script reads: Redis serves nobody else meanwhile, admission included. */
const PAGE_BYTES = 512 * 1024
const IDLE_BLOCK_MS = 1000

type ReadCommand = (stream: string, after: string, bytes: number, rows: number) => Promise<RawEntry[]>

/**
 * Gathers what comes after an id into the entries of one batch: as much as fits, once it is full or its first entry has waited for
 * the flush interval. Resolves to nothing when nothing came for a second.
 */
export function createReader({ redis, blockingRedis, stream, rowsMax, flushIntervalMs, signal }: ReaderOptions) {
  redis.defineCommand('readBuffered', { numberOfKeys: 1, lua: SCRIPT })
  const command = (redis as unknown as { readBufferedBuffer: ReadCommand }).readBufferedBuffer.bind(redis)
  const bytesOf = (entries: BufferEntry[]) => entries.reduce((sum, entry) => sum + entry.rows.length, 0)
  const countOf = (entries: BufferEntry[]) => entries.reduce((sum, entry) => sum + entry.count, 0)

  /** Adds to the entries what comes after them until the batch is full or nothing more is there. */
  async function fill(entries: BufferEntry[], after: string): Promise<void> {
    for (;;) {
      const [bytes, rows] = [BYTES_MAX - bytesOf(entries), rowsMax - countOf(entries)]
      if (bytes <= 0 || rows <= 0) return
      const last = entries.at(-1)?.id ?? after
      const page = (await command(stream, last, Math.min(bytes, PAGE_BYTES), rows)).map(decodeEntry)
      // A single entry may exceed what is left; it begins the next batch then, unless it is this one's first.
      if (page.length === 0 || (entries.length > 0 && (bytesOf(page) > bytes || countOf(page) > rows))) return
      entries.push(...page)
    }
  }

  return async function gather(after: string): Promise<BufferEntry[]> {
    const entries: BufferEntry[] = []
    await fill(entries, after)
    const [first] = entries
    if (!first) {
      await blockingRedis.xread('COUNT', 1, 'BLOCK', IDLE_BLOCK_MS, 'STREAMS', stream, after)
      return []
    }
    const waitMs = flushIntervalMs - (Date.now() - idToMs(first.id))
    if (bytesOf(entries) >= BYTES_MAX || countOf(entries) >= rowsMax || waitMs <= 0) return entries
    await delay(Math.min(waitMs, flushIntervalMs), undefined, { signal })
    await fill(entries, after)
    return entries
  }
}
