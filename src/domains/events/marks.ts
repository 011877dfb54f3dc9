import { hash } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { ProjectScope } from '../../http/access.ts'
import { bufferKeys } from './buffer.ts'

const IDENTITY_BYTES = 16

/** Whether the door remembers the event. It forgets one after between one and two windows; see admit.lua. */
export async function isRemembered(
  redis: Redis,
  shard: number,
  { organizationId, projectId }: ProjectScope,
  messageId: string,
  windowMs: number,
): Promise<boolean> {
  const identity = hash('sha256', `${organizationId}\n${projectId}\n${messageId}`, 'buffer').subarray(0, IDENTITY_BYTES)
  const [seconds, microseconds] = await redis.time()
  const bucket = Math.floor((Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)) / windowMs)
  const { marks } = bufferKeys(shard)
  const found = await Promise.all([bucket, bucket - 1].map((each) => redis.hexists(marks + each, identity)))
  return found.includes(1)
}
