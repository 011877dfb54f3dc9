import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'

const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`

const turnKey = (name: string) => `mh:turn:${name}`

/**
 * Does the work unless another process is at it. It saves doing things twice and guarantees nothing: work that takes longer than
 * `turnMs`, or whose process died, is taken up by another, so it has to be harmless twice.
 */
export async function inTurn(redis: Redis, name: string, turnMs: number, work: () => Promise<unknown>): Promise<void> {
  const holder = randomUUID()
  if (!(await redis.set(turnKey(name), holder, 'PX', turnMs, 'NX'))) return
  try {
    await work()
  } finally {
    await redis.eval(RELEASE, 1, turnKey(name), holder)
  }
}

/** Does the work unless some process has begun it within the interval. */
export async function oncePer(redis: Redis, name: string, intervalMs: number, work: () => Promise<unknown>) {
  if (await redis.set(turnKey(name), 1, 'PX', intervalMs, 'NX')) await work()
}
