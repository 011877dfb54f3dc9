import type { ClickHouse, ProjectScope } from '../../../../infra/clickhouse.ts'
import type { Postgres, TenantTx } from '../../../../infra/postgres.ts'
import type { HourOfProject } from '../../../events/index.ts'
import { measureOf } from '../measure.ts'
import { createMeasuring, type MeasuredPart } from '../measuring.ts'
import { listNewest, toMeter } from '../store.ts'
import * as store from './store.ts'

interface WindowsDependencies {
  postgres: Postgres
  clickhouse: Pick<ClickHouse, 'queryOrganization'>
  /** The days of an organization on which its projects have events. */
  usageDays: (organizationId: string, fromMs: number, toMs: number) => Promise<DayOfProject[]>
  /** From when on each project of the transaction's organization has all of its events, for those that erase old ones. */
  keptFromMs: (tx: TenantTx) => Promise<Map<string, number>>
  clock?: () => Date
}

export interface DayOfProject {
  projectId: string
  dayMs: number
  events: number
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** How far back a new version of a meter is counted. */
const BACKFILL_MS = 92 * DAY_MS
/** Marks of one organization in one round; what is left is found again in the next. */
const STALE_MAX = 500

export type MeterWindows = ReturnType<typeof createMeterWindows>

/**
 * The windows of the meters that organizations defined, counted with the usage windows and by the same marks: a touched hour stays marked
 * until its meters are counted, too. Each is the measure of an hour of a project by the newest version, set anew and never added to.
 * In a period with a cut-off it is what was received until then and stays so: what came later is for the invoices that follow.
 */
export function createMeterWindows(dependencies: WindowsDependencies) {
  const { postgres, clickhouse, usageDays, keptFromMs, clock = () => new Date() } = dependencies
  const measuring = createMeasuring({ clickhouse })

  return {
    /** Counts whole days of a project for every meter, because the day is what all copies of an event share. */
    async recount({ organizationId, projectId }: ProjectScope, days: readonly { dayMs: number; revision: number }[]) {
      const meters = (await postgres.withTenant(organizationId, listNewest)).map(toMeter)
      for (const meter of meters) {
        for (const { dayMs, revision } of days) {
          const periods = await postgres.withTenant(organizationId, (tx) =>
            store.closedPeriods(tx, dayMs, dayMs + DAY_MS),
          )
          const rows: store.WindowRow[] = []
          for (const { cutOff, ...span } of segmentsOf(dayMs, periods)) {
            const extent = { ...span, projectId, receivedThroughMs: cutOff?.getTime() }
            const parts = await measuring.split(organizationId, measureOf(meter), extent, ['hour'])
            for (const hour of hoursOf(span, parts))
              rows.push({
                organizationId,
                projectId,
                meterKey: meter.key,
                meterVersion: meter.version,
                revision,
                closed: cutOff !== undefined,
                ...hour,
              })
          }
          await postgres.withTenant(organizationId, async (tx) => {
            // Read after the events were: what is erased was written down before, and what was counted of it stays.
            const fromMs = (await keptFromMs(tx)).get(projectId) ?? 0
            if (dayMs >= fromMs) await store.writeWindows(tx, rows)
          })
        }
      }
    },

    /** Hours that have to be counted though nothing touched them: a version is new to them, or their period has closed. */
    async listStale(): Promise<HourOfProject[]> {
      const stale: HourOfProject[] = []
      const fromMs = Math.floor((clock().getTime() - BACKFILL_MS) / DAY_MS) * DAY_MS
      for (const organizationId of await postgres.withSystem(store.listOrganizations)) {
        const days = new Map<string, HourOfProject>()
        const used = await usageDays(organizationId, fromMs, clock().getTime() + 2 * DAY_MS)
        const add = ({ projectId, dayMs }: Pick<DayOfProject, 'projectId' | 'dayMs'>) =>
          days.set(`${projectId}|${dayMs}`, { organizationId, projectId, hour: dayMs / HOUR_MS })
        await postgres.withTenant(organizationId, async (tx) => {
          for (const { key, version } of await listNewest(tx)) {
            const counted = await store.countedDays(tx, key, version, fromMs)
            const known = new Set(counted.map(({ projectId, dayMs }) => `${projectId}|${dayMs}`))
            for (const day of used) if (day.events > 0 && !known.has(`${day.projectId}|${day.dayMs}`)) add(day)
            for (const day of counted) if (day.isStale) add(day)
          }
        })
        stale.push(...[...days.values()].slice(0, STALE_MAX))
      }
      return stale
    },

    /** The windows that have events in them. */
    list: (
      organizationId: string,
      { key, version, from, to }: { key: string; version: number; from: Date; to: Date },
    ) => postgres.withTenant(organizationId, (tx) => store.listWindows(tx, key, version, from, to)),
  }
}

interface Segment {
  fromMs: number
  toMs: number
  cutOff?: Date
}

/** A day in pieces that each lie in one closed period or in none. Periods begin and end on the hour and do not overlap. */
function segmentsOf(dayMs: number, periods: readonly store.ClosedPeriod[]): Segment[] {
  const endMs = dayMs + DAY_MS
  const segments: Segment[] = []
  let atMs = dayMs
  for (const { usageFrom, usageTo, cutOff } of periods) {
    if (!cutOff) continue
    const fromMs = Math.max(atMs, usageFrom.getTime())
    const toMs = Math.min(endMs, usageTo.getTime())
    if (fromMs >= toMs) continue
    if (fromMs > atMs) segments.push({ fromMs: atMs, toMs: fromMs })
    segments.push({ fromMs, toMs, cutOff })
    atMs = toMs
  }
  return atMs < endMs ? [...segments, { fromMs: atMs, toMs: endMs }] : segments
}

/** Every hour of a span, also those without events, which may have had some before. */
function hoursOf({ fromMs, toMs }: Pick<Segment, 'fromMs' | 'toMs'>, parts: readonly MeasuredPart[]) {
  const byHour = new Map(parts.map((part) => [Number(part.keys[0]), part]))
  return Array.from({ length: (toMs - fromMs) / HOUR_MS }, (_, index) => {
    const hour = fromMs / HOUR_MS + index
    const { value = '0', rowCount = 0n } = byHour.get(hour) ?? {}
    return { windowStart: new Date(hour * HOUR_MS), value, rowCount }
  })
}
