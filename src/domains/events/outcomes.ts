import type { FastifyBaseLogger } from 'fastify'
import type { Redis } from 'ioredis'
import type { ProjectScope } from '../../http/access.ts'
import { newId } from '../../ids.ts'
import { bufferKeys, shardOf } from './buffer.ts'

/** What can become of an event at the door or behind it; a rejection has the code that the sender was told. */
export type Outcome =
  | 'accepted'
  | 'duplicate'
  | 'conflict'
  | 'quarantined'
  | 'deadLetter'
  | 'burstRefused'
  | 'quotaExceeded'
  | 'held'
  | 'sampledOut'
  | `rejected:${string}`

const FLUSH_INTERVAL_MS = 1000
const KEEP_SECONDS = 400 * 86_400
const DAY_MS = 86_400_000
/** Longer than any flush is tried again before the next succeeds or the process ends. */
const FLUSH_MEMORY_SECONDS = 3600

const outcomesKey = (shard: number, projectId: string, day: string) => `mh:{${shard}}:outcomes:${projectId}:${day}`

/** Adds once per flush, however often the flush is repeated after a lost answer. */
const ADD = `
if not redis.call('SET', KEYS[2], 1, 'NX', 'EX', ARGV[2]) then return 0 end
for i = 3, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1`

interface Options {
  redis: Redis
  shards: number
  log: FastifyBaseLogger
  flushIntervalMs?: number
}

export type Outcomes = ReturnType<typeof createOutcomes>

type Counts = Map<string, { organizationId: string; projectId: string; day: string; counts: Map<Outcome, number> }>

/**
 * Counts what became of events, by project and day, for their owner to see. Counting costs an addition in memory; every second the
 * sums go to Redis, each exactly once. A process that is killed takes up to one second of them along, never any event.
 */
export function createOutcomes({ redis, shards, log, flushIntervalMs = FLUSH_INTERVAL_MS }: Options) {
  let gathering: Counts = new Map()
  /** Taken out to be written; a flush that failed is repeated under its own name before the next one begins. */
  let leaving: { id: string; sums: Counts } | undefined
  let flushing: Promise<void> = Promise.resolve()
  let failing = false

  async function write(): Promise<void> {
    if (!leaving) {
      if (gathering.size === 0) return
      leaving = { id: newId('fct'), sums: gathering }
      gathering = new Map()
    }
    const { id, sums } = leaving
    const writes = [...sums].map(async ([key, { organizationId, projectId, day, counts }]) => {
      const shard = shardOf(organizationId, shards)
      const once = `mh:{${shard}}:outcomes:flush:${id}:${projectId}:${day}`
      const fields = [...counts].flat()
      await redis.eval(ADD, 2, outcomesKey(shard, projectId, day), once, KEEP_SECONDS, FLUSH_MEMORY_SECONDS, ...fields)
      sums.delete(key)
    })
    await Promise.allSettled(writes)
    await Promise.all(writes)
    leaving = undefined
  }

  async function flush(): Promise<void> {
    flushing = flushing.then(write).then(
      () => {
        failing = false
      },
      (error) => {
        if (!failing) log.warn({ err: error }, 'the counts of outcomes wait for the event buffer')
        failing = true
      },
    )
    await flushing
  }

  const timer = setInterval(flush, flushIntervalMs)
  timer.unref()

  return {
    /** Adds `n` to an outcome of today. */
    count({ organizationId, projectId }: ProjectScope, outcome: Outcome, n = 1, nowMs = Date.now()): void {
      if (n === 0) return
      const day = dayOf(nowMs)
      const key = `${projectId}:${day}`
      const entry = gathering.get(key) ?? { organizationId, projectId, day, counts: new Map() }
      entry.counts.set(outcome, (entry.counts.get(outcome) ?? 0) + n)
      gathering.set(key, entry)
    },

    flush,

    /** Writes what is left. */
    async stop(): Promise<void> {
      clearInterval(timer)
      await flush()
      // What came in while an earlier flush was under way.
      if (gathering.size > 0) await flush()
    },
  }
}

let lastDay = { fromMs: 0, name: '1970-01-01' }

/** Asked for each request, so the answer is kept while it holds. */
function dayOf(ms: number): string {
  if (ms < lastDay.fromMs || ms >= lastDay.fromMs + DAY_MS) {
    lastDay = { fromMs: ms - (ms % DAY_MS), name: new Date(ms).toISOString().slice(0, 10) }
  }
  return lastDay.name
}

/** The outcomes of a project by day (`2026-01-31`) and outcome, for each day that begins in the span. */
export async function readOutcomes(
  redis: Redis,
  shards: number,
  { organizationId, projectId }: ProjectScope,
  { fromMs, toMs }: { fromMs: number; toMs: number },
): Promise<Map<string, Record<string, number>>> {
  const shard = shardOf(organizationId, shards)
  const days: string[] = []
  for (let ms = fromMs; ms < toMs; ms += DAY_MS) days.push(dayOf(ms))
  const hashes = await Promise.all(days.map((day) => redis.hgetall(outcomesKey(shard, projectId, day))))
  return new Map(
    days.map((day, index) => [
      day,
      Object.fromEntries(Object.entries(hashes[index] ?? {}).map(([outcome, n]) => [outcome, Number(n)])),
    ]),
  )
}

/** Events that the door accepted in a month (`2026-01`, by the time of receipt), by organization. */
export async function acceptedInMonth(redis: Redis, shards: number, month: string): Promise<Map<string, number>> {
  const accepted = new Map<string, number>()
  for (let shard = 0; shard < shards; shard++) {
    const counters = await redis.hgetall(bufferKeys(shard).accepted + month)
    for (const [organizationId, count] of Object.entries(counters)) accepted.set(organizationId, Number(count))
  }
  return accepted
}
