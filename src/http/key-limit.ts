import { LRUCache } from 'lru-cache'
import { Problem } from '../errors.ts'

export type KeyLimit = ReturnType<typeof createKeyLimit>

interface LimitedKey {
  keyId: string
  requestsPerMinute: number | null
}

const WINDOW_MS = 60_000
const KEYS_MAX = 10_000

/** What a caller over a limit of requests is answered. */
export const rateLimited = (seconds: number, whose: string) =>
  new Problem('request.rate_limited', 429, 'Too many requests', `${whose} Try again in ${seconds} s.`, {
    headers: { 'retry-after': String(seconds) },
  })

/**
 * Holds a key to its own `requestsPerMinute` where events come in. The count is the process's own, so that it costs a request neither a
 * round trip nor Redis; several processes together let that many times as much through.
 */
export function createKeyLimit(windowMs: number = WINDOW_MS) {
  const counts = new LRUCache<string, number>({ max: KEYS_MAX, ttl: windowMs, noUpdateTTL: true })

  return {
    /** Counts a request; throws 429 for one too many. */
    check({ keyId, requestsPerMinute }: LimitedKey): void {
      if (requestsPerMinute === null) return
      const count = (counts.get(keyId) ?? 0) + 1
      counts.set(keyId, count)
      if (count <= requestsPerMinute) return
      const seconds = Math.max(1, Math.ceil(counts.getRemainingTTL(keyId) / 1000))
      throw rateLimited(seconds, `The key may send ${requestsPerMinute} requests per minute.`)
    },
  }
}
