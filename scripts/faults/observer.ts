import { setTimeout as delay } from 'node:timers/promises'
import { createProgress } from '../../src/domains/events/index.ts'
import { createRedis } from '../../src/infra/redis.ts'
import { SHARDS, type Stack } from './stack.ts'

const INTERVAL_MS = 25

export interface LagSample {
  atMs: number
  /** Age of the oldest event that is not stored yet; null while the buffer does not answer. */
  lagMs: number | null
}

export type Observer = ReturnType<typeof startObserver>

/**
 * Watches the buffer past the wires: how far the store is behind, and that no shard's cursor ever moves back, which only a sink
 * that was not fenced off can cause.
 */
export function startObserver({ services, organizations }: Stack) {
  const redis = createRedis(services.ingestRedis.url)
  redis.on('error', () => {
    // The rig kills it; a sample without an answer says so.
  })
  const completeThrough = createProgress({ redis, shards: SHARDS })
  const samples: LagSample[] = []
  const cursors = new Map<string, string>()
  const regressions: { key: string; from: string; to: string }[] = []
  let watching = true
  const watch = async () => {
    for (let turn = 0; watching; turn++) {
      await Promise.all([watchCursors().catch(ignoreAway), turn % 4 === 0 ? watchLag() : undefined])
      await delay(INTERVAL_MS)
    }
  }
  const running = watch()

  async function watchLag(): Promise<void> {
    const times = await Promise.all(organizations.map((scope) => completeThrough(scope))).catch(ignoreAway)
    const atMs = Date.now()
    samples.push({ atMs, lagMs: times ? Math.max(0, ...times.map((time) => atMs - time.getTime())) : null })
  }

  async function watchCursors(): Promise<void> {
    for (const key of await cursorKeys(redis)) {
      const to = await redis.get(key)
      const from = cursors.get(key)
      if (to === null) continue
      if (from !== undefined && isBefore(to, from)) regressions.push({ key, from, to })
      cursors.set(key, to)
    }
  }

  return {
    samples,
    regressions,
    /** Forgets the cursors: after a power cut a later one may rightly be gone. */
    forgetCursors: () => cursors.clear(),
    lagMs: () => samples.at(-1)?.lagMs ?? null,
    /** Resolves when everything that was acknowledged up to now is stored; false when it is not within the time. */
    async drained(timeoutMs: number): Promise<boolean> {
      const sinceMs = Date.now()
      for (const deadline = sinceMs + timeoutMs; Date.now() < deadline; await delay(50)) {
        const times = await Promise.all(organizations.map((scope) => completeThrough(scope))).catch(ignoreAway)
        if (times?.every((time) => time.getTime() >= sinceMs)) return true
      }
      return false
    },
    async stop() {
      watching = false
      await running
      redis.disconnect()
    },
  }
}

let known: string[] = []

/** Found once: the shards of a run do not change. */
async function cursorKeys(redis: ReturnType<typeof createRedis>): Promise<string[]> {
  if (known.length < SHARDS) known = (await redis.keys('mh:*cursor*')).sort()
  return known
}

function isBefore(a: string, b: string): boolean {
  const [aMs = 0, aSeq = 0] = a.split('-').map(Number)
  const [bMs = 0, bSeq = 0] = b.split('-').map(Number)
  return aMs < bMs || (aMs === bMs && aSeq < bSeq)
}

function ignoreAway(): undefined {
  // The buffer is away, which the sample says.
}
