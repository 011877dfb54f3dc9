import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { idToMs } from './buffer.ts'

/** Does one insert when its time has come. */
export type Pace = (insert: () => Promise<void>) => Promise<void>

/** For a lane that goes first: what is there is stored at once. */
export const unhurried: Pace = (insert) => insert()

/** Lets one holder at a time pass, in the order in which they came. */
export type Gate = <Result>(work: () => Promise<Result>) => Promise<Result>

export function createGate(): Gate {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const turn = last.then(work)
    last = turn.catch(() => {
      // Its own caller sees the failure; the next one only waits for the end.
    })
    return turn
  }
}

interface Options {
  redis: Redis
  /** The keys of the lane that goes first. */
  first: { stream: string; cursor: string; sealed: string }
  /** Shared by the lanes of all shards in the process: together they are as slow as one, and never fill the store's insert slots. */
  gate: Gate
  signal: AbortSignal
}

const LAG_MS_MAX = 1000
const POLL_MS = 25
/** Past these an insert goes anyway: an import that waits behind a lane without a pause must end one day too. */
const BEHIND_BATCH_MS_MAX = 2000
const BEHIND_LAG_MS_MAX = 60_000
/** While both lanes have work, what this one leaves to the other for each millisecond of its own. */
const REST_PER_STORED = 3
const REST_MS_MAX = 10_000

/** What the other lane is doing: is a batch being stored, which is the oldest entry that is not, what time is it, where is the cursor. */
const LOOK = `
local cursor = redis.call('GET', KEYS[2])
local pending = redis.call('XRANGE', KEYS[1], cursor and ('(' .. cursor) or '-', '+', 'COUNT', 1)[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return { redis.call('EXISTS', KEYS[3]), pending and pending[1] or '', now, cursor or '' }`

/**
 * The pace of a lane that must not be felt by another: it begins an insert only while the other stores none and is not behind, and
 * then leaves it most of the time. Where the other lane has nothing to do, there is no waiting.
 */
export function createPace({ redis, first, gate, signal }: Options): Pace {
  let cursorBefore = ''

  async function look() {
    const answer = await redis.eval(LOOK, 3, first.stream, first.cursor, first.sealed)
    const [storing, pending, nowMs, cursor] = answer as [number, string, number, string]
    return { storing: storing === 1, lagMs: pending === '' ? 0 : nowMs - idToMs(pending), cursor }
  }

  async function turn(): Promise<void> {
    const startedAt = performance.now()
    for (;;) {
      const { storing, lagMs } = await look()
      const behind = lagMs > LAG_MS_MAX
      if (!behind && !storing) return
      if (performance.now() - startedAt > (behind ? BEHIND_LAG_MS_MAX : BEHIND_BATCH_MS_MAX)) return
      await delay(POLL_MS, undefined, { signal })
    }
  }

  async function rest(storedMs: number): Promise<void> {
    const { cursor, lagMs } = await look()
    const busy = cursor !== cursorBefore || lagMs > 0
    cursorBefore = cursor
    if (busy) await delay(Math.min(storedMs * REST_PER_STORED, REST_MS_MAX), undefined, { signal })
  }

  return (insert) =>
    gate(async () => {
      signal.throwIfAborted()
      await turn()
      const startedAt = performance.now()
      await insert()
      await rest(performance.now() - startedAt)
    })
}
