import type { Redis } from 'ioredis'
import type { ProjectScope } from '../../http/access.ts'
import { bufferKeys, type Lane, shardOf } from './buffer.ts'
import { identityOf } from './pack.ts'

interface Options {
  redis: Redis
  shards: number
  deduplicationWindowMs: number
}

/** Tells whether the door remembers an event. It forgets one after between one and two windows; see admit.lua. */
export function createMemory({ redis, shards, deduplicationWindowMs }: Options) {
  return async (
    { organizationId, projectId }: ProjectScope,
    lane: Exclude<Lane, 'import'>,
    messageId: string,
  ): Promise<boolean> => {
    const [seconds, microseconds] = await redis.time()
    const nowMs = Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
    const bucket = Math.floor(nowMs / deduplicationWindowMs)
    const marks = `${bufferKeys(shardOf(organizationId, shards), lane).marks}${projectId}:`
    const identity = identityOf(messageId)
    const found = await Promise.all([bucket, bucket - 1].map((each) => redis.hexists(marks + each, identity)))
    return found.includes(1)
  }
}
