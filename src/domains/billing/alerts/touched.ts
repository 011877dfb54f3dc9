import type { Redis } from 'ioredis'

const KEY = 'mh:alerts:touched'

/** The time is the revision: a mark that is renewed is newer than what was read, also when it was taken away in between. */
const MARK = `
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', time[1] * 1000000 + time[2]))`

const SETTLE = `if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end`

export type Touched = ReturnType<typeof createTouched>

/** Organizations whose usage has changed since their alerts were looked at. A mark stays until somebody has looked who began after it. */
export const createTouched = (redis: Redis) => ({
  async mark(organizationId: string): Promise<void> {
    await redis.eval(MARK, 1, KEY, organizationId)
  },

  /** With the revisions of their marks. */
  list: async (): Promise<[organizationId: string, revision: string][]> => Object.entries(await redis.hgetall(KEY)),

  /** Takes a mark away that was not renewed since it was read. */
  async settle(organizationId: string, revision: string): Promise<void> {
    await redis.eval(SETTLE, 1, KEY, organizationId, revision)
  },
})
