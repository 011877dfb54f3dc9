import type { Redis } from 'ioredis'
import type { Row } from './batch.ts'
import { identityOf } from './pack.ts'

interface Dependencies {
  redis: Redis
  /** Prefix of the lane's marks. */
  marks: string
  deduplicationWindowMs: number
}

const FIELDS_MAX = 1000

/** Makes the door forget events, so that their next copy is new. The inverse of what admit.lua remembers, by the same clock. */
export function createForget({ redis, marks, deduplicationWindowMs }: Dependencies) {
  return async (rows: readonly Row[]): Promise<void> => {
    const [seconds = 0, microseconds = 0] = (await redis.time()).map(Number)
    const bucket = Math.floor((seconds * 1000 + Math.floor(microseconds / 1000)) / deduplicationWindowMs)
    for (const [projectId, own] of Map.groupBy(rows, ({ values }) => values.project_id)) {
      const identities = own.map(({ values }) => identityOf(values.message_id))
      for (let at = 0; at < identities.length; at += FIELDS_MAX) {
        const fields = identities.slice(at, at + FIELDS_MAX)
        await redis.hdel(`${marks}${projectId}:${bucket}`, ...fields)
        await redis.hdel(`${marks}${projectId}:${bucket - 1}`, ...fields)
      }
    }
  }
}
