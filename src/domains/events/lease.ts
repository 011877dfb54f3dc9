import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { failpoint } from '../../infra/failpoints.ts'
import { bufferKeys, type Lane } from './buffer.ts'
import { dirtyKeys, markDirtyLua } from './dirty.ts'

/** Another sink has taken the shard over. Whatever this one was doing, the other has begun again from the written record. */
export class Fenced extends Error {
  override name = 'Fenced'
  constructor() {
    super('the lease of the lane has passed to another sink')
  }
}

const TTL_MS = 5000
const RENEW_INTERVAL_MS = 1500

/**
 * At its memory limit Redis refuses commands that could need memory, but not those of a script that has already written. So each
 * script that sets something begins with a DEL: the sink must go on then, as nothing else makes room. It adds a few bytes at most.
 */
const ACQUIRE = `
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('INCR', KEYS[2])`
const RENEW = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0`
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`
const SEAL = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[2], ARGV[2])
return 1`
const ADVANCE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[3])
redis.call('SET', KEYS[2], ARGV[2])
${markDirtyLua('KEYS[4]', 'KEYS[5]', 'KEYS[6]', 3)}
return 1`

export interface Lease {
  epoch: number
  /** Writes down what is about to be stored. Throws Fenced. */
  seal: (record: string) => Promise<void>
  /**
   * Moves the cursor past what ClickHouse provably holds, forgets the record and marks the touched hours to be counted, all in one.
   * Throws Fenced.
   */
  advance: (cursor: string, touched: readonly string[]) => Promise<void>
  release: () => Promise<void>
}

/**
 * Tries to become the one sink of a lane of a shard; null while another holds it. The lease is a hint that keeps two sinks from working at
 * once; the epoch is the guarantee: a sink that slept through its lease finds the epoch raised and can change nothing.
 */
export async function acquireLease(redis: Redis, shard: number, lane: Lane = 'live'): Promise<Lease | null> {
  const keys = bufferKeys(shard, lane)
  const dirty = dirtyKeys(shard)
  const advanced = [keys.epoch, keys.cursor, keys.sealed, dirty.since, dirty.revisions, dirty.revision]
  const holder = randomUUID()
  const epoch = Number(await redis.eval(ACQUIRE, 2, keys.lease, keys.epoch, holder, TTL_MS))
  if (epoch === 0) return null
  failpoint('lease.acquired')

  const timer = setInterval(() => {
    redis.eval(RENEW, 1, keys.lease, holder, TTL_MS).catch(() => {
      // A lease that cannot be renewed runs out; the epoch stops this sink then.
    })
  }, RENEW_INTERVAL_MS)

  const orFenced = (done: unknown) => {
    if (Number(done) !== 1) throw new Fenced()
  }
  return {
    epoch,
    seal: async (record) => orFenced(await redis.eval(SEAL, 2, keys.epoch, keys.sealed, epoch, record)),
    advance: async (cursor, touched) =>
      orFenced(await redis.eval(ADVANCE, advanced.length, ...advanced, epoch, cursor, ...touched)),
    async release() {
      clearInterval(timer)
      await redis.eval(RELEASE, 1, keys.lease, holder)
    },
  }
}
