import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import type { ProjectScope } from '../../http/access.ts'
import type { Violation } from './check.ts'

const SCRIPT = readFileSync(new URL('count.lua', import.meta.url), 'utf8')
const FLUSH_INTERVAL_MS = 1000
const DAY_MS = 86_400_000
export const KEPT_DAYS = 30
const KEPT_SECONDS = (KEPT_DAYS + 1) * 86_400
/** Different violations of one project on one day, and those that one process holds between two flushes. */
const FIELDS_MAX = 1000
const PENDING_MAX = 10_000
const OTHER = 'other'

export interface ViolationCount {
  event: string
  field: string
  keyword: string
  count: number
  lastSeenMs: number
}

interface Pending {
  key: string
  field: string
  count: number
  lastSeenMs: number
}

interface CountsDependencies {
  redis: Redis
  log: { warn: (details: object, message: string) => void }
}

type CountCommand = (key: string, ...parameters: (string | number)[]) => Promise<unknown>

/**
 * Counts violations in the process and adds them up in Redis once a second, so that the hot path pays for a look-up in a map. A process
 * that is killed loses a second of counts; a Redis that did not answer in time may count a second twice. They are for people who
 * repair their tracking, and nothing is decided by them.
 */
export function createCounts({ redis, log }: CountsDependencies) {
  redis.defineCommand('countViolations', { numberOfKeys: 1, lua: SCRIPT })
  const add = (redis as unknown as { countViolations: CountCommand }).countViolations.bind(redis)
  let pending = new Map<string, Pending>()
  let timer: NodeJS.Timeout | undefined
  let isAway = false

  function note(one: Pending): void {
    const full = pending.size >= PENDING_MAX
    const id = `${one.key}\n${one.field}`
    const known = pending.get(id) ?? (full ? pending.get(`${one.key}\n${OTHER}`) : undefined)
    if (known) {
      known.count += one.count
      known.lastSeenMs = Math.max(known.lastSeenMs, one.lastSeenMs)
    } else if (!full) pending.set(id, one)
    else if (pending.size < 2 * PENDING_MAX) pending.set(`${one.key}\n${OTHER}`, { ...one, field: OTHER })
  }

  async function flush(): Promise<void> {
    timer = undefined
    const batch = pending
    pending = new Map()
    for (const [key, counts] of Map.groupBy(batch.values(), (one) => one.key)) {
      const parameters = counts.flatMap(({ field, count, lastSeenMs }) => [field, count, lastSeenMs])
      try {
        await add(key, FIELDS_MAX, KEPT_SECONDS, ...parameters)
        isAway = false
      } catch (error) {
        if (!isAway) log.warn({ err: error }, 'violations of tracking plans cannot be counted right now')
        isAway = true
        for (const one of counts) note(one)
      }
    }
    if (isAway && pending.size > 0) schedule()
  }

  function schedule(): void {
    timer ??= setTimeout(() => void flush(), FLUSH_INTERVAL_MS).unref()
  }

  return {
    /** Counts the violations of one event, each field and keyword once. Synchronous. */
    count(scope: ProjectScope, event: string, violations: readonly Violation[], nowMs = Date.now()): void {
      const key = keyOf(scope, nowMs)
      const fields = new Set(violations.map(({ field, keyword }) => JSON.stringify([event, field, keyword])))
      for (const field of fields) note({ key, field, count: 1, lastSeenMs: nowMs })
      schedule()
    },

    /** Adds up what was counted on the last days, most frequent first; `other` is what there was no room to name. */
    async read(scope: ProjectScope, days: number, nowMs = Date.now()) {
      const keys = Array.from({ length: days }, (_, back) => keyOf(scope, nowMs - back * DAY_MS))
      const hashes = await Promise.all(keys.map((key) => redis.hgetall(key)))
      const counts = new Map<string, ViolationCount>()
      let other = 0
      for (const hash of hashes) {
        for (const [name, text] of Object.entries(hash)) {
          if (!name.startsWith('n')) continue
          const id = name.slice(1)
          if (id === OTHER) other += Number(text)
          else merge(counts, id, Number(text), Number(hash[`t${id}`]))
        }
      }
      const ordered = [...counts].sort(([a, one], [b, two]) => two.count - one.count || (a < b ? -1 : 1))
      return { counts: ordered.map(([, one]) => one), other }
    },

    /** Writes down what is pending and stops. */
    async stop(): Promise<void> {
      clearTimeout(timer)
      await flush()
      clearTimeout(timer)
    },
  }
}
export type Counts = ReturnType<typeof createCounts>

function merge(counts: Map<string, ViolationCount>, id: string, count: number, lastSeenMs: number): void {
  const known = counts.get(id)
  if (known) {
    known.count += count
    known.lastSeenMs = Math.max(known.lastSeenMs, lastSeenMs)
    return
  }
  const [event, field, keyword] = JSON.parse(id) as [string, string, string]
  counts.set(id, { event, field, keyword, count, lastSeenMs })
}

function keyOf({ organizationId, projectId }: ProjectScope, nowMs: number): string {
  return `tracking_plan:violations:${organizationId}:${projectId}:${Math.floor(nowMs / DAY_MS)}`
}
