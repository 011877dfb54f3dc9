import type { Redis } from 'ioredis'
import type { ClickHouse, ProjectScope } from '../../infra/clickhouse.ts'
import { failpoint } from '../../infra/failpoints.ts'
import type { Metrics } from '../../infra/metrics.ts'
import type { Postgres } from '../../infra/postgres.ts'
import { type DirtyHour, markDirty, readDirty, settleDirty, storedThroughMs } from '../events/index.ts'
import { createRetention, keptFromMs } from '../projects/index.ts'
import { reconcileMonth, reconcileWindows } from './reconcile.ts'
import { countDays, type DirtyProject, groupByProject, HOUR_MS } from './recount.ts'
import { createEraser } from './retention.ts'
import { completeWindows, countedDays, countedHours, writeDay } from './store.ts'

export interface UsageDependencies {
  redis: Redis
  shards: number
  clickhouse: ClickHouse
  postgres: Postgres
  metrics: Metrics
  /** How many days the plan of an organization keeps events; null keeps them for good. */
  planKeepsDays: (organizationId: string) => Promise<number | null>
  /** Counts what else is made of the days of a project. They stay marked until this has succeeded, too. */
  recountMeters: (project: ProjectScope, days: readonly { dayMs: number; revision: number }[]) => Promise<void>
  /** Is told whose windows were written, before the marks are taken away: a fault leaves them, and all of it is done again. */
  onCounted?: (organizationId: string) => Promise<void>
}

export type UsageService = ReturnType<typeof createUsageService>

/** An hour is complete when everything is counted that was acknowledged until this long after its end. */
const LATENESS_MS = 2 * HOUR_MS
const MARKS_READ_MAX = 5000
const MARKS_COUNTED_MAX = 500
const MARKS_AT_CLOSING_MAX = 20_000
/** After a count a project rests for a multiple of the time that it took, so that one large project takes a twentieth of a core. */
const REST_FACTOR = 19
const REST_MAX_MS = 60_000
const REST_AFTER_FAILURE_MS = 2000

/**
 * Usage windows: how many events a project has in each hour, counted anew from de-duplicated rows whenever an hour was touched, and
 * overwritten. The promise: a touched hour stays marked until a count that began after its last mark is committed. So a crash anywhere
 * repeats a count and never loses one, several processes may count at once, and counting twice changes nothing.
 */
export function createUsageService(dependencies: UsageDependencies) {
  const { redis, shards, clickhouse, postgres, metrics, recountMeters, onCounted, planKeepsDays } = dependencies
  const restsUntil = new Map<string, number>()

  async function recount(project: DirtyProject): Promise<void> {
    const startedAt = performance.now()
    const { organizationId, projectId } = project
    const days = await countDays(clickhouse, project)
    await recountMeters({ organizationId, projectId }, days)
    failpoint('usage.counted')
    const late = await postgres.withTenant(organizationId, async (tx) => {
      let changed = 0
      // Read after the events were: what is erased was written down before.
      const fromMs = (await keptFromMs(tx)).get(projectId) ?? 0
      const whole = days.filter(({ dayMs }) => dayMs >= fromMs)
      for (const day of whole) changed += (await writeDay(tx, { organizationId, projectId, ...day })).length
      return changed
    })
    await onCounted?.(organizationId)
    metrics.usageLate.inc(late)
    const restMs = Math.min(REST_MAX_MS, REST_FACTOR * (performance.now() - startedAt))
    restsUntil.set(projectId, performance.now() + restMs)
  }

  return {
    /** How old the oldest uncounted rows of a shard are, in milliseconds; undefined without any. */
    async lagMs(shard: number): Promise<number | undefined> {
      const { readAtMs, hours } = await readDirty(redis, shard, 1)
      return hours[0] && Math.max(0, readAtMs - hours[0].sinceMs)
    },

    /**
     * Counts what has waited longest in a shard. Gives the number of marks that it answered; some may have risen meanwhile. A project
     * that cannot be counted keeps its marks and no other one waiting; what went wrong is thrown at the end.
     */
    async recountOldest(shard: number): Promise<number> {
      const { readAtMs, hours } = await readDirty(redis, shard, MARKS_READ_MAX)
      const startedAt = performance.now()
      for (const [projectId, until] of restsUntil) if (until <= startedAt) restsUntil.delete(projectId)
      const due = hours.filter(({ projectId }) => !restsUntil.has(projectId)).slice(0, MARKS_COUNTED_MAX)
      const failures: unknown[] = []
      for (const project of groupByProject(due)) {
        try {
          await recount(project)
          failpoint('usage.written')
          await settleDirty(redis, shard, { readAtMs, hours: project.hours })
        } catch (error) {
          failures.push(error)
          restsUntil.set(project.projectId, performance.now() + REST_AFTER_FAILURE_MS)
          continue
        }
        const countedAtMs = readAtMs + performance.now() - startedAt
        for (const { sinceMs } of project.hours) metrics.usageDelay.observe((countedAtMs - sinceMs) / 1000)
      }
      if (failures.length > 0) throw new AggregateError(failures, `projects could not be counted: ${failures.length}`)
      return due.length
    },

    /** Marks windows as complete. Waits for no one: while marks or a backlog abound it marks what it can, or nothing. */
    async completeWindows(): Promise<number> {
      const through: number[] = []
      for (let shard = 0; shard < shards; shard++) through.push(await storedThroughMs(redis, shard))
      // Read after the progress: what was stored by then and is not counted yet is still marked.
      const marks: DirtyHour[] = []
      for (let shard = 0; shard < shards; shard++)
        marks.push(...(await readDirty(redis, shard, MARKS_AT_CLOSING_MAX)).hours)
      if (marks.length >= MARKS_AT_CLOSING_MAX) return 0
      const beforeMs = Math.min(...through) - LATENESS_MS - HOUR_MS
      return postgres.withSystem((tx) => completeWindows(tx, beforeMs, marks))
    },

    /** Erases what projects no longer keep; see retention.ts. */
    eraseDue: createEraser({ redis, shards, clickhouse, retention: createRetention({ postgres, planKeepsDays }) }),

    /** Compares door, store and windows for a month of all organizations; see reconcile.ts. */
    reconcile: (month: string, signal: AbortSignal) =>
      reconcileMonth(month, {
        signal,
        redis,
        shards,
        clickhouse,
        countedDays: (organizationId, fromMs, toMs) =>
          postgres.withTenant(organizationId, (tx) => countedDays(tx, fromMs, toMs)),
        keptFrom: (organizationId) => postgres.withTenant(organizationId, keptFromMs),
        recountLater: (shard, hours) => markDirty(redis, shard, hours),
      }),
  }
}

/** Events of each project and day of an organization, by the usage windows. */
export const createUsageDays =
  ({ postgres }: { postgres: Postgres }) =>
  (organizationId: string, fromMs: number, toMs: number) =>
    postgres.withTenant(organizationId, (tx) => countedDays(tx, fromMs, toMs))

/** Events of an organization by hour, of all its projects, by the usage windows. */
export const createUsageHours =
  ({ postgres }: { postgres: Postgres }) =>
  (organizationId: string, from: Date, to: Date) =>
    postgres.withTenant(organizationId, (tx) => countedHours(tx, from.getTime(), to.getTime()))
type WindowsDependencies = Pick<UsageDependencies, 'redis' | 'shards' | 'postgres'> & {
  clickhouse: Pick<ClickHouse, 'client'>
  signal: AbortSignal
}

/** By how many events the store and the windows of an organization differ in a month, given as `2026-01`. It corrects nothing. */
export const createWindowsComparison =
  ({ postgres, ...dependencies }: WindowsDependencies) =>
  (organizationId: string, month: string): Promise<number> =>
    reconcileWindows(organizationId, month, {
      ...dependencies,
      countedDays: (id, fromMs, toMs) => postgres.withTenant(id, (tx) => countedDays(tx, fromMs, toMs)),
      keptFrom: (id) => postgres.withTenant(id, keptFromMs),
      recountLater: async () => {},
    })
