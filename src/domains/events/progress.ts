import type { Redis } from 'ioredis'
import type { ProjectScope } from '../../http/access.ts'
import { bufferKeys, type Lane, shardOf } from './buffer.ts'

/**
 * How far the event store is complete for a project: every event that was acknowledged up to this time can be queried. It is the
 * moment before the oldest entry that a sink has not stored yet, or now when there is none. Read it before the query it is for.
 */
export function createProgress({ redis, shards }: { redis: Redis; shards: number }) {
  return async ({ organizationId }: Pick<ProjectScope, 'organizationId'>): Promise<Date> =>
    new Date(await storedThroughMs(redis, shardOf(organizationId, shards)))
}

/** The same for all organizations of a shard and one lane. */
export async function shardProgress(redis: Redis, shard: number, lane: Lane = 'live'): Promise<Date> {
  const keys = bufferKeys(shard, lane)
  const [[seconds, microseconds], cursor] = await Promise.all([redis.time(), redis.get(keys.cursor)])
  const [pending] = await redis.xrange(keys.stream, cursor ? `(${cursor}` : '-', '+', 'COUNT', 1)
  if (pending) return new Date(Number(pending[0].split('-')[0]) - 1)
  return new Date(Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000))
}

/** Up to when everything that the door of a shard accepted is stored, in epoch milliseconds, whichever way it took. */
export async function storedThroughMs(redis: Redis, shard: number): Promise<number> {
  const lanes = await Promise.all((['live', 'import'] as const).map((lane) => shardProgress(redis, shard, lane)))
  return Math.min(...lanes.map((date) => date.getTime()))
}
