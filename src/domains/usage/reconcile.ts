import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import type { ClickHouse } from '../../infra/clickhouse.ts'
import { acceptedInMonth, type HourOfProject, readDirty, shardOf, storedThroughMs } from '../events/index.ts'
import { DAYS_OF_MONTH, ORGANIZATIONS_OF_MONTH, RECEIVED_IN_MONTH } from './queries.ts'
import { DAY_MS, HOUR_MS } from './recount.ts'

interface ReconcileDependencies {
  redis: Redis
  shards: number
  clickhouse: Pick<ClickHouse, 'client'>
  countedDays: (
    organizationId: string,
    fromMs: number,
    toMs: number,
  ) => Promise<{ projectId: string; dayMs: number; events: number; revision: number }[]>
  /** From when on each project has all of its events; absent are those that erased none. */
  keptFrom: (organizationId: string) => Promise<ReadonlyMap<string, number>>
  recountLater: (shard: number, hours: HourOfProject[]) => Promise<void>
  /** Gives up at once, when the process stops. */
  signal: AbortSignal
}

/** Events that two sides disagree about, summed over the organizations. */
export interface Differences {
  /**
   * Accepted at the door in the month and not in the event store. Besides a loss these are the events that the store refused, and the
   * resends that came after the door had forgotten the event: it accepts those again, and the store shows them once. Organizations
   * that have erased events are left out: what they erased may have come in any month.
   */
  acceptedNotStored: number
  /** In the event store and never accepted at the door. Not explained by anything. */
  storedNotAccepted: number
  /** Between the event store and the usage windows. The days at fault are marked to be counted again. */
  windows: number
}

const PROGRESS_PATIENCE_MS = 30_000
const PROGRESS_POLL_MS = 200
const MARKS_MAX = 100_000
const SETTINGS = { do_not_merge_across_partitions_select_final: 1, max_execution_time: 60 } as const

/**
 * Compares what the door counted with what the event store holds and with what the usage windows say, for one calendar month in UTC.
 * Door and store are compared by the month of receipt; store and windows by the month of the events. It runs beside live traffic:
 * what moves while it looks is left for the next time. Null when the sink is too far behind to compare anything.
 */
export async function reconcileMonth(month: string, dependencies: ReconcileDependencies): Promise<Differences | null> {
  const { redis, shards, clickhouse, signal } = dependencies
  const total: Differences = { acceptedNotStored: 0, storedNotAccepted: 0, windows: 0 }
  const startedAtMs = await redisTimeMs(redis)
  const before = await acceptedInMonth(redis, shards, month)
  if (!(await isStoredThrough(dependencies, startedAtMs))) return null
  const ask = <Row>(query: string, params: Record<string, unknown> = {}) =>
    rowsOf<Row>(clickhouse, query, { ...params, month: Number(month.replace('-', '')) }, signal)

  const organizations = (await ask<{ organizationId: string }>(ORGANIZATIONS_OF_MONTH)).map((row) => row.organizationId)
  for (const organizationId of new Set([...before.keys(), ...organizations])) {
    const accepted = before.get(organizationId) ?? 0
    const [row] = await ask<{ events: number }>(RECEIVED_IN_MONTH, { organizationId })
    const stored = row?.events ?? 0
    const acceptedNow = stored > accepted ? (await acceptedInMonth(redis, shards, month)).get(organizationId) : accepted
    const erasedSome = accepted > stored && (await dependencies.keptFrom(organizationId)).size > 0
    total.acceptedNotStored += erasedSome ? 0 : Math.max(0, accepted - stored)
    total.storedNotAccepted += Math.max(0, stored - (acceptedNow ?? 0))
  }
  for (const organizationId of organizations) {
    const lookedAtMs = await redisTimeMs(redis)
    const stored = await ask<StoredDay>(DAYS_OF_MONTH, { organizationId })
    total.windows += await compareWindows(organizationId, month, { lookedAtMs, stored }, dependencies)
  }
  return total
}

interface StoredDay {
  projectId: string
  dayMs: number
  events: number
}

async function compareWindows(
  organizationId: string,
  month: string,
  { lookedAtMs, stored }: { lookedAtMs: number; stored: StoredDay[] },
  dependencies: ReconcileDependencies,
): Promise<number> {
  const { redis, shards, countedDays, keptFrom, recountLater } = dependencies
  const shard = shardOf(organizationId, shards)
  // What the store showed but the sink had not released yet has left its mark after this.
  if (!(await isStoredThrough(dependencies, await redisTimeMs(redis)))) return 0
  const { hours: marks } = await readDirty(redis, shard, MARKS_MAX)
  if (marks.length === MARKS_MAX) return 0
  const [year = 0, number = 0] = month.split('-').map(Number)
  const counted = await countedDays(organizationId, Date.UTC(year, number - 1), Date.UTC(year, number))
  // Read after the store was: what is erased was written down before.
  const kept = await keptFrom(organizationId)
  const key = ({ projectId, dayMs }: { projectId: string; dayMs: number }) => `${projectId}|${dayMs}`
  const isMarked = new Set(
    marks.map(({ projectId, hour }) => key({ projectId, dayMs: Math.floor((hour * HOUR_MS) / DAY_MS) * DAY_MS })),
  )
  const windows = new Map(counted.map((day) => [key(day), day]))
  const inStore = new Map(stored.map((day) => [key(day), day.events]))
  let difference = 0
  const faulty: HourOfProject[] = []
  for (const day of [...stored, ...counted.filter((one) => !inStore.has(key(one)))]) {
    if (day.dayMs < (kept.get(day.projectId) ?? 0)) continue
    const window = windows.get(key(day))
    // Revisions are microseconds: a day that was touched since the look is not comparable.
    if (isMarked.has(key(day)) || (window && window.revision >= lookedAtMs * 1000)) continue
    const gap = Math.abs((inStore.get(key(day)) ?? 0) - (window?.events ?? 0))
    if (gap === 0) continue
    difference += gap
    faulty.push({ organizationId, projectId: day.projectId, hour: day.dayMs / HOUR_MS })
  }
  await recountLater(shard, faulty)
  return difference
}

async function isStoredThrough({ redis, shards, signal }: ReconcileDependencies, timeMs: number): Promise<boolean> {
  const deadline = performance.now() + PROGRESS_PATIENCE_MS
  for (let shard = 0; shard < shards; ) {
    if ((await storedThroughMs(redis, shard)) >= timeMs) shard += 1
    else if (performance.now() > deadline) return false
    else await delay(PROGRESS_POLL_MS, undefined, { signal })
  }
  return true
}

async function redisTimeMs(redis: Redis): Promise<number> {
  const [seconds, microseconds] = await redis.time()
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
}

async function rowsOf<Row>(
  { client }: Pick<ClickHouse, 'client'>,
  query: string,
  params: Record<string, unknown>,
  signal: AbortSignal,
): Promise<Row[]> {
  const result = await client.query({
    query,
    query_params: params,
    format: 'JSONEachRow',
    abort_signal: signal,
    clickhouse_settings: { ...SETTINGS, output_format_json_quote_64bit_integers: 0 },
  })
  return result.json<Row>()
}
