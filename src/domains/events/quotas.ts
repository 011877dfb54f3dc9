import type { Redis } from 'ioredis'
import { bufferKeys, shardOf } from './buffer.ts'
import { periodText, type QuotaPolicy, type QuotaState, quotaStateOf, withQuotaLua } from './quota-state.ts'

const READ = withQuotaLua(`
local now, revision = nowMs()
local quota = quotaAt(KEYS[1], now, KEYS[2], ARGV[1], revision)
return quotaText(quota)`)

/**
 * Whoever asked for a ticket before it read the policy may write it, unless a later ticket has written. What was counted stays with its
 * period; a period that follows on one whose end has come begins with nothing, or with what was counted since without a period.
 * Every other one begins with nothing too, and the answer says that it is not exact. Marks the organization if anything has changed.
 */
const WRITE = withQuotaLua(`
local now, revision = nowMs()
local applied = tonumber(redis.call('HGET', KEYS[1], 'a') or '0')
if applied >= tonumber(ARGV[2]) then return 'stale' end
local before = quotaAt(KEYS[1], now, KEYS[2], ARGV[1], revision).current
local since = tonumber(redis.call('HGET', KEYS[1], 'b') or '')
local current, following = periodOf(ARGV[3]), periodOf(ARGV[4])
if following and following.starts <= now then current, following = following, nil end
local isExact = true
if before then
  if before.starts ~= current.starts then
    isExact = before.ends == current.starts
    redis.call('HSET', KEYS[1], 'u', 0)
  end
else
  isExact = since == current.starts
end
local function stateText()
  local fields = redis.call('HMGET', KEYS[1], 'c', 'n', 'x')
  return table.concat({ fields[1] or '', fields[2] or '', fields[3] or '' }, ' ')
end
local stateBefore = stateText()
redis.call('HSET', KEYS[1], 'a', ARGV[2], 'c', current.text)
redis.call('HSETNX', KEYS[1], 'u', 0)
redis.call('HDEL', KEYS[1], 'b', 'n', 'x')
if following then redis.call('HSET', KEYS[1], 'n', following.text) end
if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'x', ARGV[5]) end
if stateText() ~= stateBefore then mark(KEYS[2], ARGV[1], revision) end
return isExact and 'exact' or 'inexact'`)

const HEAL = withQuotaLua(`
local now, revision = nowMs()
local quota = quotaAt(KEYS[1], now, KEYS[2], ARGV[1], revision)
if not quota.current or quota.current.starts ~= tonumber(ARGV[2]) then return 0 end
local used = math.max(0, quota.used + tonumber(ARGV[3]))
redis.call('HSET', KEYS[1], 'u', string.format('%.0f', used))
mark(KEYS[2], ARGV[1], revision)
return 1`)

const SETTLE = `
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0`

const MARK = `
local time = redis.call('TIME')
for i = 1, #ARGV do redis.call('HSETNX', KEYS[1], ARGV[i], string.format('%.0f', time[1] * 1000000 + time[2])) end`

export type Quotas = ReturnType<typeof createQuotas>

/** Organizations that somebody has to look at: because their quota changed its state, or because something is held of them. */
export type QuotaMark = 'quotaChanged' | 'quotaHeld'

/** The quotas as they lie beside the marks of the door, in the slot of the organization's shard. */
export function createQuotas({ redis, shards }: { redis: Redis; shards: number }) {
  const keysOf = (organizationId: string) => {
    const keys = bufferKeys(shardOf(organizationId, shards))
    return [keys.quota + organizationId, keys.quotaChanged] as const
  }

  return {
    /** To be asked for before the policy is read, so that what was read earlier never replaces what was read later. */
    ticket: (organizationId: string): Promise<number> => redis.hincrby(keysOf(organizationId)[0], 'k', 1),

    /** `inexact`: what was used of the period before is not known and has to be counted. */
    async write(policy: QuotaPolicy, ticket: number): Promise<'exact' | 'inexact' | 'stale'> {
      const { organizationId, current, next, stopped } = policy
      const texts = [periodText(current), next ? periodText(next) : '', stopped ?? '']
      const answer = await redis.eval(WRITE, 2, ...keysOf(organizationId), organizationId, ticket, ...texts)
      return answer as 'exact' | 'inexact' | 'stale'
    },

    /** Null while no policy was written, or the last one ended without a next. */
    async read(organizationId: string): Promise<QuotaState | null> {
      const text = (await redis.eval(READ, 2, ...keysOf(organizationId), organizationId)) as string
      return quotaStateOf(text)
    },

    /** Adds to what was used, below nothing never, unless another period has begun; false then. */
    async correct(organizationId: string, startsAtMs: number, by: number): Promise<boolean> {
      return (await redis.eval(HEAL, 2, ...keysOf(organizationId), organizationId, startsAtMs, by)) === 1
    },

    /** The marked organizations of a shard with the revisions of their marks. */
    async marked(shard: number, mark: QuotaMark): Promise<[organizationId: string, revision: string][]> {
      return Object.entries(await redis.hgetall(bufferKeys(shard)[mark]))
    },

    /** Takes a mark away that was not renewed since it was read. */
    async settle(mark: QuotaMark, organizationId: string, revision: string): Promise<void> {
      await redis.eval(SETTLE, 1, bufferKeys(shardOf(organizationId, shards))[mark], organizationId, revision)
    },

    /** Marks organizations that are not marked yet. */
    async mark(mark: QuotaMark, organizationIds: readonly string[]): Promise<void> {
      for (const [shard, ids] of Map.groupBy(organizationIds, (id) => shardOf(id, shards)))
        await redis.eval(MARK, 1, bufferKeys(shard)[mark], ...ids)
    },
  }
}
