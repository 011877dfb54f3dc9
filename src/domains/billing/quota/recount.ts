import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import type { ClickHouse } from '../../../infra/clickhouse.ts'
import { type Quotas, shardOf, storedThroughMs } from '../../events/index.ts'
import { RECEIVED_BETWEEN } from './queries.ts'

interface Dependencies {
  quotas: Quotas
  redis: Redis
  shards: number
  clickhouse: Pick<ClickHouse, 'client'>
  /** Gives up at once, when the process stops. */
  signal: AbortSignal
}

const PATIENCE_MS = 10_000
const POLL_MS = 100
const SETTINGS = {
  do_not_merge_across_partitions_select_final: 1,
  max_execution_time: 60,
  output_format_json_quote_64bit_integers: 0,
} as const

export type Recount = ReturnType<typeof createRecount>

/**
 * Compares what the door has counted in the current period with what the event store holds of it, and corrects the door. It runs beside
 * live traffic: what came while it looked is not held against either, so that a difference is only corrected as far as it is certain,
 * and a quiet moment makes it exact. Gives the difference, or null when there was nothing to compare.
 */
export function createRecount({ quotas, redis, shards, clickhouse, signal }: Dependencies) {
  /** Whether all that the door took until now is stored. */
  async function hasCaughtUp(organizationId: string): Promise<boolean> {
    const shard = shardOf(organizationId, shards)
    const [seconds, microseconds] = await redis.time()
    const nowMs = Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
    for (const deadline = performance.now() + PATIENCE_MS; performance.now() < deadline; ) {
      if ((await storedThroughMs(redis, shard)) >= nowMs) return true
      await delay(POLL_MS, undefined, { signal })
    }
    return false
  }

  async function received(organizationId: string, fromMs: number, toMs: number): Promise<number> {
    const answer = await clickhouse.client.query({
      query: RECEIVED_BETWEEN,
      query_params: { organizationId, fromMs, toMs },
      format: 'JSONEachRow',
      abort_signal: signal,
      clickhouse_settings: SETTINGS,
    })
    const [row] = await answer.json<{ events: number }>()
    return row?.events ?? 0
  }

  return async (organizationId: string): Promise<number | null> => {
    const before = await quotas.read(organizationId)
    if (!before?.period || !(await hasCaughtUp(organizationId))) return null
    const { startsAtMs, endsAtMs } = before.period
    const stored = await received(organizationId, startsAtMs, endsAtMs)
    const after = await quotas.read(organizationId)
    if (after?.period?.startsAtMs !== startsAtMs) return null
    const difference = stored > after.used ? stored - after.used : Math.min(0, stored - before.used)
    if (difference !== 0 && !(await quotas.correct(organizationId, startsAtMs, difference))) return null
    return difference
  }
}
