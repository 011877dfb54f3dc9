import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'

/** When a sink may store its next batch. */
export interface Pace {
  /** Resolves when it is this sink's turn. */
  turn: () => Promise<void>
  /** Rests after a batch that took this long to store. */
  rest: (storedMs: number) => Promise<void>
}

/** Live events are stored as soon as they are there. */
export const unhurried: Pace = { turn: async () => {}, rest: async () => {} }

interface Options {
  redis: Redis
  /** The keys of the lane that goes first. */
  first: { stream: string; cursor: string; sealed: string }
  signal: AbortSignal
}

const LAG_MS_MAX = 1000
const POLL_MS = 25
/** Past these a batch goes anyway: an import that waits behind a shard without a pause must end one day too. */
const BEHIND_BATCH_MS_MAX = 2000
const BEHIND_LAG_MS_MAX = 60_000
/** Of the time in which both lanes have work, what this one leaves to the other for each millisecond of its own. */
const REST_PER_STORED = 3
const REST_MS_MAX = 10_000

/** What the lane that goes first is doing: whether a batch of it is being stored, and its oldest entry that is not stored. */
const LOOK = `
local cursor = redis.call('GET', KEYS[2])
local pending = redis.call('XRANGE', KEYS[1], cursor and '(' .. cursor or '-', '+', 'COUNT', 1)[1]
local time = redis.call('TIME')
return { redis.call('EXISTS', KEYS[3]), pending and pending[1] or '', time[1] * 1000 + math.floor(time[2] / 1000), cursor or '' }`
