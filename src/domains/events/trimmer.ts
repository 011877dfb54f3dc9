import type { Redis } from 'ioredis'
import { idToMs } from './buffer.ts'

interface TrimmerOptions {
  redis: Redis
  stream: string
  tailMs: number
  /** Whether memory is so short that the tail is given up: a live reader that reconnects is told of the gap. */
  isCrowded?: (() => boolean) | undefined
}

interface Stored {
  last: string
  bytes: number
}

const TAIL_BYTES_MAX = 32 * 1024 * 1024
const IDLE_INTERVAL_MS = 5000

/**
 * Frees stored entries. A tail of them stays for live readers that reconnect, bounded by age and by bytes. It trims by id and never
 * by length, and never past an entry that was stored, so an unread entry cannot be trimmed.
 */
export function createTrimmer({ redis, stream, tailMs, isCrowded = () => false }: TrimmerOptions) {
  let tail: Stored[] = []
  let tailBytes = 0
  let idleSince = performance.now()

  /** `stored` is the newest entry that may be freed one day and the bytes up to it; null when there is nothing new. */
  return async (stored: Stored | null): Promise<void> => {
    if (stored) {
      tail.push(stored)
      tailBytes += stored.bytes
    } else if (performance.now() - idleSince < IDLE_INTERVAL_MS) {
      return
    }
    idleSince = performance.now()
    const oldestMs = isCrowded() ? Number.POSITIVE_INFINITY : Date.now() - tailMs
    const keepFrom = tail.findIndex(({ last, bytes }) => {
      const keep = idToMs(last) >= oldestMs && tailBytes <= TAIL_BYTES_MAX
      if (!keep) tailBytes -= bytes
      return keep
    })
    const freed = keepFrom === -1 ? tail : tail.slice(0, keepFrom)
    tail = keepFrom === -1 ? [] : tail.slice(keepFrom)
    const last = freed.at(-1)?.last
    if (last) await redis.xtrim(stream, 'MINID', after(last))
  }
}

/** The smallest stream id after `id`. */
function after(id: string): string {
  const [ms, sequence] = id.split('-')
  return `${ms}-${Number(sequence) + 1}`
}
