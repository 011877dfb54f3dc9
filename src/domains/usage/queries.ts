import { Type } from '@sinclair/typebox'

const DAY = (name: string) => `toDate(fromUnixTimestamp64Milli({${name}:Int64}, 'UTC'))`
/**
 * A time in a form that ClickHouse cannot use to leave out parts: the part with the first copy of an event may be among them, and
 * FINAL would then count a later copy.
 */
const ANY_PART = (column: string) => `identity(toUnixTimestamp64Milli(${column}))`

export const HourRow = Type.Object({ hour: Type.Integer(), events: Type.Integer() })

/** Events of one project by hour, each once. Whole days, because the day is what all copies of an event share. */
export function hoursStatement(fromDayMs: number, toDayMs: number) {
  const sql = `
    SELECT intDiv(toUnixTimestamp64Milli(timestamp), 3600000) AS hour, count() AS events
    FROM events FINAL
    WHERE organization_id = {organizationId:String} AND project_id = {projectId:String}
      AND toDate(timestamp) >= ${DAY('fromDayMs')} AND toDate(timestamp) <= ${DAY('toDayMs')}
    GROUP BY hour`
  return { sql, params: { fromDayMs, toDayMs }, schema: HourRow }
}

export const ReceivedDayRow = Type.Object({ day: Type.String(), events: Type.Integer() })

/** Events of one project by the day on which their first copy was received, each once. Reads every event of the project. */
export function receivedDaysStatement(fromMs: number, toMs: number) {
  const sql = `
    SELECT toString(toDate(received_at)) AS day, count() AS events
    FROM events FINAL
    WHERE organization_id = {organizationId:String} AND project_id = {projectId:String}
      AND ${ANY_PART('received_at')} >= {fromMs:Int64} AND ${ANY_PART('received_at')} < {toMs:Int64}
    GROUP BY day`
  return { sql, params: { fromMs, toMs }, schema: ReceivedDayRow }
}

/** Who has events in a month, given as 202601. */
export const ORGANIZATIONS_OF_MONTH = `
  SELECT DISTINCT organization_id AS organizationId FROM events WHERE toYYYYMM(timestamp) = {month:UInt32}`

/** Events of one organization by project and day of a month, each once. */
export const DAYS_OF_MONTH = `
  SELECT project_id AS projectId, toUnixTimestamp(toDateTime(toDate(timestamp), 'UTC')) * 1000 AS dayMs, count() AS events
  FROM events FINAL
  WHERE organization_id = {organizationId:String} AND toYYYYMM(timestamp) = {month:UInt32}
  GROUP BY projectId, dayMs`

/** How many events of one organization were received in a month, each once and by its first copy. */
export const RECEIVED_IN_MONTH = `
  SELECT count() AS events FROM events FINAL
  WHERE organization_id = {organizationId:String} AND identity(toYYYYMM(received_at)) = {month:UInt32}`
