import type { Redis } from 'ioredis'
import type { ProjectScope } from '../../http/access.ts'
import type { BufferEntry } from './buffer.ts'

/**
 * Which hours of which projects have rows that were not counted yet. The sink marks them in the same atomic step that releases the
 * rows from the buffer, so "stored but never counted" cannot exist; whoever counts removes a mark only if it did not rise meanwhile.
 */
export function dirtyKeys(shard: number) {
  const tag = `mh:{${shard}}:dirty`
  return {
    /** Marked hours by the time of their first mark. */
    since: tag,
    /** The revision of each marked hour. */
    revisions: `${tag}:revisions`,
    /** The highest revision that was ever given. */
    revision: `${tag}:revision`,
  }
}

/** One marked hour. */
export interface DirtyHour extends ProjectScope {
  /** Hours since 1970, UTC. */
  hour: number
  /** Grows with every mark, also across removals: microseconds by the clock of Redis, or one more than the last. */
  revision: number
  /** Time of the oldest mark that is not counted, epoch milliseconds. */
  sinceMs: number
}

export type HourOfProject = Pick<DirtyHour, 'organizationId' | 'projectId' | 'hour'>

const memberOf = ({ organizationId, projectId, hour }: HourOfProject) => `${organizationId}|${projectId}|${hour}`

/** The hours that the events of the entries touch, each once, as members of the dirty set. */
export function touchedHours(entries: readonly BufferEntry[]): string[] {
  const touched = new Set<string>()
  for (const entry of entries) for (const hour of entry.hours) touched.add(memberOf({ ...entry, hour }))
  return [...touched]
}

/** Marks the members ARGV[first] and following, given the names of the keys; a part of a larger script. */
export const markDirtyLua = (since: string, revisions: string, revision: string, first: number) => `
local time = redis.call('TIME')
local number = time[1] * 1000000 + time[2]
local last = tonumber(redis.call('GET', ${revision}) or '0')
if number <= last then number = last + 1 end
-- A number becomes text with 14 digits of its own accord.
local text = string.format('%.0f', number)
redis.call('SET', ${revision}, text)
for i = ${first}, #ARGV do
  redis.call('HSET', ${revisions}, ARGV[i], text)
  redis.call('ZADD', ${since}, 'NX', math.floor(number / 1000), ARGV[i])
end`

const MARK = markDirtyLua('KEYS[1]', 'KEYS[2]', 'KEYS[3]', 1)
const TAKE = `
local time = redis.call('TIME')
local taken = { string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)) }
local marked = redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1, 'WITHSCORES')
for i = 1, #marked, 2 do
  taken[#taken + 1] = marked[i]
  taken[#taken + 1] = redis.call('HGET', KEYS[2], marked[i])
  taken[#taken + 1] = marked[i + 1]
end
return taken`
const SETTLE = `
for i = 2, #ARGV, 2 do
  if redis.call('HGET', KEYS[2], ARGV[i]) == ARGV[i + 1] then
    redis.call('HDEL', KEYS[2], ARGV[i])
    redis.call('ZREM', KEYS[1], ARGV[i])
  else
    redis.call('ZADD', KEYS[1], 'XX', ARGV[1], ARGV[i])
  end
end`

/** Marks hours to be counted again, whether rows of them were stored or not. */
export async function markDirty(redis: Redis, shard: number, hours: readonly HourOfProject[]): Promise<void> {
  const keys = dirtyKeys(shard)
  if (hours.length > 0) await redis.eval(MARK, 3, keys.since, keys.revisions, keys.revision, ...hours.map(memberOf))
}

/** The hours that have waited longest, at most `limit`, and when they were read by the clock of Redis. Changes nothing. */
export async function readDirty(redis: Redis, shard: number, limit: number) {
  const keys = dirtyKeys(shard)
  const [readAt, ...flat] = (await redis.eval(TAKE, 2, keys.since, keys.revisions, limit)) as string[]
  const hours: DirtyHour[] = []
  for (let at = 0; at < flat.length; at += 3) {
    const [organizationId = '', projectId = '', hour] = flat[at]?.split('|') ?? []
    const [revision, sinceMs] = [Number(flat[at + 1]), Number(flat[at + 2])]
    hours.push({ organizationId, projectId, hour: Number(hour), revision, sinceMs })
  }
  return { readAtMs: Number(readAt), hours }
}

/** Removes the marks that did not rise since they were read; the others are as old as that reading from now on. */
export async function settleDirty(
  redis: Redis,
  shard: number,
  { readAtMs, hours }: Awaited<ReturnType<typeof readDirty>>,
): Promise<void> {
  const keys = dirtyKeys(shard)
  const counted = hours.flatMap((hour) => [memberOf(hour), hour.revision])
  await redis.eval(SETTLE, 2, keys.since, keys.revisions, readAtMs, ...counted)
}
