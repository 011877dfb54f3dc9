import type { Static } from '@sinclair/typebox'
import type { ProjectScope } from '../../http/access.ts'
import type { ClickHouse } from '../../infra/clickhouse.ts'
import type { DirtyHour } from '../events/index.ts'
import { type HourRow, hoursStatement } from './queries.ts'

export const HOUR_MS = 3_600_000
export const DAY_MS = 86_400_000
/** How many days one statement counts at most: de-duplication holds the keys of all of them in memory. */
const DAYS_PER_STATEMENT = 4

export interface DirtyProject extends ProjectScope {
  hours: DirtyHour[]
}

/** What one day of a project holds, and the newest mark of that day from before it was counted. */
export interface CountedDay {
  dayMs: number
  revision: number
  eventsOf: ReadonlyMap<number, number>
}

export function groupByProject(hours: readonly DirtyHour[]): DirtyProject[] {
  const projects = new Map<string, DirtyProject>()
  for (const hour of hours) {
    const { organizationId, projectId } = hour
    const key = `${organizationId}|${projectId}`
    const project = projects.get(key) ?? { organizationId, projectId, hours: [] }
    project.hours.push(hour)
    projects.set(key, project)
  }
  return [...projects.values()]
}

/** Counts every day that has a marked hour, each event once, from what the event store holds now. */
export async function countDays(clickhouse: Pick<ClickHouse, 'query'>, project: DirtyProject): Promise<CountedDay[]> {
  const revisions = new Map<number, number>()
  for (const { hour, revision } of project.hours) {
    const dayMs = dayOf(hour)
    revisions.set(dayMs, Math.max(revision, revisions.get(dayMs) ?? 0))
  }
  const counted: CountedDay[] = []
  const { organizationId, projectId } = project
  for (const days of runsOf([...revisions.keys()])) {
    const statement = hoursStatement(days[0] ?? 0, days.at(-1) ?? 0)
    const { rows } = await clickhouse.query({ organizationId, projectId }, statement)
    for (const dayMs of days)
      counted.push({ dayMs, revision: revisions.get(dayMs) ?? 0, eventsOf: eventsOf(rows, dayMs) })
  }
  return counted
}

const dayOf = (hour: number) => Math.floor((hour * HOUR_MS) / DAY_MS) * DAY_MS

const eventsOf = (rows: Static<typeof HourRow>[], dayMs: number) =>
  new Map(rows.filter(({ hour }) => dayOf(hour) === dayMs).map(({ hour, events }) => [hour, events]))

/** Days that follow each other closely enough to be counted by one statement. */
function runsOf(days: number[]): number[][] {
  const runs: number[][] = []
  for (const day of days.sort((a, b) => a - b)) {
    const run = runs.at(-1)
    if (run?.[0] !== undefined && day < run[0] + DAYS_PER_STATEMENT * DAY_MS) run.push(day)
    else runs.push([day])
  }
  return runs
}
