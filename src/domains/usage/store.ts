import { and, gt, gte, lt, sql } from 'drizzle-orm'
import type { SystemTx, TenantTx } from '../../infra/postgres.ts'
import { usageWindows } from './tables.ts'

const HOUR_MS = 3_600_000
const HOURS_PER_DAY = 24

export interface DayCount {
  organizationId: string
  projectId: string
  /** Midnight, epoch milliseconds. */
  dayMs: number
  /** Events of each hour that has any, by hours since 1970. */
  eventsOf: ReadonlyMap<number, number>
  revision: number
}

/**
 * Writes all hours of a day, unless a count for a newer mark is there already. All, because the copy of an event that counts may turn
 * out to lie in another hour of the day than the copy that was counted before.
 * Gives the hours (since 1970) that were complete before and that this changed.
 */
export async function writeDay(tx: TenantTx, { eventsOf, dayMs, revision, ...project }: DayCount): Promise<number[]> {
  const firstHour = dayMs / HOUR_MS
  const hours = Array.from({ length: HOURS_PER_DAY }, (_, index) => firstHour + index)
  const rows = hours.map((hour) => ({
    ...project,
    windowStart: new Date(hour * HOUR_MS),
    events: eventsOf.get(hour) ?? 0,
    revision,
  }))
  const before = await tx
    .select({ windowStart: usageWindows.windowStart, events: usageWindows.events })
    .from(usageWindows)
    .where(and(ofProject(project), sql`${usageWindows.complete}`, ...within(dayMs, dayMs + HOURS_PER_DAY * HOUR_MS)))
  await tx
    .insert(usageWindows)
    .values(rows)
    .onConflictDoUpdate({
      target: [usageWindows.organizationId, usageWindows.projectId, usageWindows.windowStart],
      set: { events: sql`excluded.events`, revision: sql`excluded.revision`, computedAt: sql`now()` },
      setWhere: sql`excluded.revision > ${usageWindows.revision}`,
    })
  return before
    .map(({ windowStart, events }) => ({ hour: windowStart.getTime() / HOUR_MS, events }))
    .filter(({ hour, events }) => events !== (eventsOf.get(hour) ?? 0))
    .map(({ hour }) => hour)
}

/** Marks the hours that began before `beforeMs` as complete, except the given ones. Gives how many it marked. */
export async function completeWindows(
  tx: SystemTx,
  beforeMs: number,
  except: readonly { organizationId: string; projectId: string; hour: number }[],
): Promise<number> {
  const dirty = JSON.stringify(
    except.map(({ organizationId, projectId, hour }) => [organizationId, projectId, hour * 3600]),
  )
  const { rowCount } = await tx.execute(sql`
    update usage_windows set complete = true
    where not complete and window_start < ${new Date(beforeMs).toISOString()}::timestamptz
      and (organization_id, project_id, window_start) not in (
        select d->>0, d->>1, to_timestamp((d->>2)::bigint) from jsonb_array_elements(${dirty}::jsonb) d)`)
  return rowCount ?? 0
}

export interface CountedDay {
  projectId: string
  dayMs: number
  events: number
  revision: number
}

/** Events of each project and day of the organization, and the newest mark that they answer. */
export async function countedDays(tx: TenantTx, fromMs: number, toMs: number): Promise<CountedDay[]> {
  const dayMs = sql<string>`(extract(epoch from date_trunc('day', ${usageWindows.windowStart}, 'UTC')) * 1000)::bigint`
  const rows = await tx
    .select({
      projectId: usageWindows.projectId,
      dayMs,
      events: sql<string>`sum(${usageWindows.events})`,
      revision: sql<string>`max(${usageWindows.revision})`,
    })
    .from(usageWindows)
    .where(and(...within(fromMs, toMs)))
    .groupBy(usageWindows.projectId, sql`2`)
  return rows.map(({ projectId, ...numbers }) => ({
    projectId,
    dayMs: Number(numbers.dayMs),
    events: Number(numbers.events),
    revision: Number(numbers.revision),
  }))
}

/** Events of the organization in each hour that has any, of all its projects. */
export async function countedHours(tx: TenantTx, fromMs: number, toMs: number) {
  const rows = await tx
    .select({ windowStart: usageWindows.windowStart, events: sql<string>`sum(${usageWindows.events})` })
    .from(usageWindows)
    .where(and(...within(fromMs, toMs), gt(usageWindows.events, 0)))
    .groupBy(usageWindows.windowStart)
  return rows.map(({ windowStart, events }) => ({ startMs: windowStart.getTime(), quantity: BigInt(events) }))
}

const ofProject = ({ organizationId, projectId }: { organizationId: string; projectId: string }) =>
  sql`${usageWindows.organizationId} = ${organizationId} and ${usageWindows.projectId} = ${projectId}`

const within = (fromMs: number, toMs: number) => [
  gte(usageWindows.windowStart, new Date(fromMs)),
  lt(usageWindows.windowStart, new Date(toMs)),
]
