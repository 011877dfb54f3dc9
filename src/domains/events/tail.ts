import type { FastifyBaseLogger } from 'fastify'
import type { Redis } from 'ioredis'
import type { ProjectScope } from '../../http/access.ts'
import { type BufferEntry, bufferKeys, decodeEntry, newRows, type RawEntry, shardOf } from './buffer.ts'
import { ENRICHMENT_COLUMNS, type Enrichment } from './enrich/columns.ts'
import { shapeEnrichment } from './enrich/shape.ts'
import { decodeRow, type EventRow } from './row.ts'

/** An event as a live reader sees it: `id` is its place in the buffer, to resume from. */
export interface LiveEvent {
  id: string
  event: Record<string, unknown>
}

type Listener = (events: LiveEvent[]) => void

interface TailOptions {
  /** For short commands. */
  redis: Redis
  /** A connection of the tail's own, for XREAD BLOCK. */
  blockingRedis: Redis
  shards: number
  log: FastifyBaseLogger
}

const READ_ENTRIES_MAX = 100
const BLOCK_MS = 250
const FAILURE_PAUSE_MS = 500
const RESUME_EVENTS_MAX = 1000

/**
 * Reads the buffer for live viewers, before and independently of the store. One reader per process serves every watched project:
 * it reads only shards with a watcher, parses only entries of watched projects, and sleeps when nobody watches.
 */
export function createTail({ redis, blockingRedis, shards, log }: TailOptions) {
  const watchers = new Map<string, { shard: number; listeners: Set<Listener> }>()
  const positions = new Map<number, string>()
  let reading: Promise<void> | undefined
  let stopped = false

  async function read(): Promise<void> {
    while (!stopped && watchers.size > 0) {
      try {
        const wanted = new Set([...watchers.values()].map(({ shard }) => shard))
        for (const shard of positions.keys()) if (!wanted.has(shard)) positions.delete(shard)
        const watched = [...positions.keys()]
        const reply = await blockingRedis.xreadBuffer(
          ...(['COUNT', READ_ENTRIES_MAX, 'BLOCK', BLOCK_MS, 'STREAMS'] as const),
          ...watched.map((shard) => bufferKeys(shard).stream),
          ...watched.map((shard) => positions.get(shard) ?? '$'),
        )
        for (const [stream, entries] of (reply ?? []) as [Buffer, RawEntry[]][]) {
          const shard = watched.find((candidate) => bufferKeys(candidate).stream === stream.toString())
          if (shard !== undefined) publish(shard, entries.map(decodeEntry))
        }
      } catch (error) {
        if (stopped) return
        log.warn({ err: error }, 'the live reader lost the buffer and will try again')
        await new Promise((resolve) => setTimeout(resolve, FAILURE_PAUSE_MS))
      }
    }
    reading = undefined
  }

  function publish(shard: number, entries: BufferEntry[]): void {
    for (const entry of entries) {
      positions.set(shard, entry.id)
      const watched = watchers.get(entry.projectId)
      if (!watched) continue
      const events = liveEvents(entry)
      for (const listener of watched.listeners) listener(events)
    }
  }

  return {
    /**
     * Calls `listener` with every event of the project that is admitted after this resolves, until the signal aborts. Rejects when
     * the buffer does not answer.
     */
    async watch({ organizationId, projectId }: ProjectScope, listener: Listener, signal: AbortSignal): Promise<void> {
      const shard = shardOf(organizationId, shards)
      const watched = watchers.get(projectId) ?? { shard, listeners: new Set() }
      watched.listeners.add(listener)
      watchers.set(projectId, watched)
      signal.addEventListener('abort', () => {
        watched.listeners.delete(listener)
        if (watched.listeners.size === 0) watchers.delete(projectId)
      })
      if (!positions.has(shard)) {
        const newest = await newestId(redis, shard)
        // Another watcher may have set it meanwhile, and the reader may have moved it on since.
        if (!positions.has(shard)) positions.set(shard, newest)
      }
      reading ??= read()
    },

    /**
     * The project's events after `id` that are still in the buffer, oldest first and at most 1,000, and whether there may be
     * others between that were freed or left out.
     */
    async since(
      { organizationId, projectId }: ProjectScope,
      id: string,
    ): Promise<{ events: LiveEvent[]; gap: boolean }> {
      const { stream } = bufferKeys(shardOf(organizationId, shards))
      const entryId = id.slice(0, id.indexOf('.'))
      const [oldest] = await redis.xrange(stream, '-', '+', 'COUNT', 1)
      const events: LiveEvent[] = []
      let position = `${entryId}`
      for (;;) {
        const page = ((await redis.xrangeBuffer(stream, position, '+', 'COUNT', READ_ENTRIES_MAX)) as RawEntry[]).map(
          decodeEntry,
        )
        for (const entry of page) {
          if (entry.projectId === projectId) events.push(...liveEvents(entry).filter((event) => isAfter(event.id, id)))
        }
        const last = page.at(-1)
        if (!last || page.length < READ_ENTRIES_MAX) break
        position = `(${last.id}`
      }
      const freed = oldest === undefined || isAfter(`${oldest[0]}.0`, id)
      return { events: events.slice(-RESUME_EVENTS_MAX), gap: freed || events.length > RESUME_EVENTS_MAX }
    },

    async stop(): Promise<void> {
      stopped = true
      blockingRedis.disconnect()
      await reading
    },
  }
}
export type Tail = ReturnType<typeof createTail>

async function newestId(redis: Redis, shard: number): Promise<string> {
  const [newest] = await redis.xrevrange(bufferKeys(shard).stream, '+', '-', 'COUNT', 1)
  return newest?.[0] ?? '0-0'
}

function liveEvents(entry: BufferEntry): LiveEvent[] {
  return Array.from(newRows(entry), (row, index) => ({ id: `${entry.id}.${index}`, event: toEvent(decodeRow(row)) }))
}

const toIso = (ms: number) => new Date(ms).toISOString()
const bag = (text: string): unknown => (text === '' ? {} : JSON.parse(text))

function enrichmentOf(row: EventRow): Parameters<typeof shapeEnrichment>[0] {
  return Object.fromEntries(ENRICHMENT_COLUMNS.map(([column, key]) => [key, row[column]])) as unknown as Enrichment
}

function toEvent(row: EventRow): Record<string, unknown> {
  return {
    messageId: row.message_id,
    event: row.event,
    type: row.type,
    userId: row.user_id || null,
    anonymousId: row.anonymous_id || null,
    groupId: row.group_id || null,
    timestamp: toIso(row.timestamp - row.clock_skew_ms),
    receivedAt: toIso(row.received_at),
    properties: bag(row.properties),
    traits: bag(row.traits),
    context: bag(row.context),
    sentAt: row.sent_at === null ? null : toIso(row.sent_at),
    ...shapeEnrichment(enrichmentOf(row)),
  }
}

/** Orders two live ids, `<ms>-<sequence>.<index>`. */
export function isAfter(left: string, right: string): boolean {
  const [a, b] = [left, right].map((id) => id.split(/[-.]/).map(Number))
  for (let part = 0; part < 3; part++) {
    const difference = (a?.[part] ?? 0) - (b?.[part] ?? 0)
    if (difference !== 0) return difference > 0
  }
  return false
}
