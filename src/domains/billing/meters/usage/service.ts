import type { Postgres } from '../../../../infra/postgres.ts'
import { csvLine } from '../../../audit/index.ts'
import type { Measured, MeasuredPart } from '../measuring.ts'
import type { Dimension, RowOfHour } from '../queries.ts'
import type { Page, Usage, UsageQuestion } from '../question.ts'
import type { Meter } from '../schemas.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import type {
  HistoryAnswer,
  HistoryQuery,
  HourEventsAnswer,
  HourEventsQuery,
  HoursAnswer,
  HoursQuery,
  UsageAnswer,
  UsageQuery,
} from './schemas.ts'
import { checkSpan, readTimes, refuse } from './span.ts'
import * as store from './store.ts'

interface Meters {
  listMeters: (organizationId: string) => Promise<Meter[]>
  usage: (organizationId: string, question: UsageQuestion) => Promise<Usage>
  parts: (
    organizationId: string,
    question: UsageQuestion & { by: readonly Dimension[] },
  ) => Promise<{ meter: Meter; rows: MeasuredPart[] }>
  events: (organizationId: string, question: UsageQuestion & { page: Page }) => Promise<RowOfHour[]>
}

interface UsageDependencies {
  postgres: Postgres
  meters: Meters
  /** Makes sure that the organization has a subscription, so that there is a period to speak of. */
  ensure: (organizationId: string) => Promise<unknown>
  /** Up to when every acknowledged event of the organization can be counted. */
  completeThrough: (organizationId: string) => Promise<Date>
}

export type UsageReads = ReturnType<typeof createUsageReads>

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** What an organization sees of its own usage: in one number, split, by period, and down to the events. */
export function createUsageReads({ postgres, meters, ensure, completeThrough }: UsageDependencies) {
  async function spanOf(
    organizationId: string,
    query: Pick<UsageQuery, 'from' | 'to'>,
  ): Promise<{ from: Date; to: Date }> {
    const { from, to } = readTimes({ from: query.from, to: query.to })
    if (from && to) {
      checkSpan(from, to)
      return { from, to }
    }
    await ensure(organizationId)
    const period = await postgres.withTenant(organizationId, (tx) => store.findOpenPeriod(tx, organizationId))
    if (!period)
      refuse([{ path: '/querystring/from', message: 'must be there, as well as to, while no billing period is open' }])
    const span = { from: from ?? (period?.usageFrom as Date), to: to ?? (period?.usageTo as Date) }
    checkSpan(span.from, span.to)
    return span
  }

  async function usage(organizationId: string, query: UsageQuery): Promise<UsageAnswer> {
    const span = await spanOf(organizationId, query)
    // Read first: later it would promise more than the answer saw.
    const complete = await completeThrough(organizationId)
    const { by, meter: meterKey, projectId } = query
    const about = { from: span.from.toISOString(), to: span.to.toISOString(), by }
    const meta = { completeThrough: complete.toISOString() }
    if (by === 'meter') {
      const data: UsageAnswer['data'] = []
      for (const { key } of await meters.listMeters(organizationId))
        data.push({ key, ...toCounts(await meters.usage(organizationId, { meterKey: key, projectId, ...span })) })
      return { ...about, data, total: null, ...meta }
    }
    const total = await meters.usage(organizationId, { meterKey, projectId, ...span })
    const { rows } = await meters.parts(organizationId, { meterKey, projectId, by: [by], ...span })
    const data = rows.map(({ keys: [key = ''], ...row }) => ({
      key: by === 'day' ? new Date(Number(key) * DAY_MS).toISOString().slice(0, 10) : key,
      ...toCounts(row),
    }))
    data.sort((a, b) => (a.key < b.key ? -1 : 1))
    return { ...about, data, total: toCounts(total), ...meta }
  }

  return {
    usage,

    /** The same as CSV, without the total. */
    async csv(organizationId: string, query: UsageQuery): Promise<string> {
      const { by, data } = await usage(organizationId, query)
      const lines = data.map(({ key, value, events, skipped }) => csvLine([key, value, events, skipped]))
      return [csvLine([by, 'value', 'events', 'skipped']), ...lines].join('')
    },

    /** The last periods, each as it is or will be billed: what came after the cut-off of one is not in it. */
    async history(organizationId: string, { meter: meterKey, limit }: HistoryQuery): Promise<HistoryAnswer> {
      await ensure(organizationId)
      const periods = await postgres.withTenant(organizationId, (tx) => store.listPeriods(tx, organizationId, limit))
      const data: HistoryAnswer['data'] = []
      for (const { id, usageFrom: from, usageTo: to, cutOff, status, planKey } of periods) {
        const measured = await meters.usage(organizationId, {
          meterKey,
          from,
          to,
          receivedThrough: cutOff ?? undefined,
        })
        data.push({
          periodId: id,
          from: from.toISOString(),
          to: to.toISOString(),
          status,
          planKey,
          cutOff: cutOff?.toISOString() ?? null,
          ...toCounts(measured),
        })
      }
      return { data }
    },

    /** A line of an invoice by hour and project. */
    async hours(organizationId: string, query: HoursQuery): Promise<HoursAnswer> {
      const { meter: meterKey, version: meterVersion, projectId } = query
      const times = {
        from: query.from,
        to: query.to,
        receivedThrough: query.receivedThrough,
        receivedAfter: query.receivedAfter,
      }
      const { from, to, ...received } = readTimes(times)
      checkSpan(from as Date, to as Date)
      const question = { meterKey, meterVersion, projectId, from: from as Date, to: to as Date, ...received }
      const { meter, rows } = await meters.parts(organizationId, { ...question, by: ['hour', 'project'] })
      const data = rows.map(({ keys: [hour, project = ''], ...row }) => ({
        time: new Date(Number(hour) * HOUR_MS).toISOString(),
        projectId: project,
        ...toCounts(row),
        contentHash: row.contentHash,
      }))
      return {
        meter: meter.key,
        version: meter.version,
        data: data.sort((a, b) => a.time.localeCompare(b.time) || a.projectId.localeCompare(b.projectId)),
      }
    },

    /** An hour of a project by its events, page by page. */
    async events(organizationId: string, { cursor, limit, ...query }: HourEventsQuery): Promise<HourEventsAnswer> {
      const { hour, receivedThrough, receivedAfter } = readTimes({
        hour: query.hour,
        receivedThrough: query.receivedThrough,
        receivedAfter: query.receivedAfter,
      })
      const from = hour as Date
      if (from.getTime() % HOUR_MS !== 0)
        refuse([{ path: '/querystring/hour', message: 'must be the begin of an hour, in UTC' }])
      const search = JSON.stringify(Object.entries(query).sort())
      const after = cursor === undefined ? undefined : decodeCursor(cursor, search)
      if (cursor !== undefined && !after)
        refuse([{ path: '/querystring/cursor', message: 'is not a cursor of this question' }])
      const { meter: meterKey, version: meterVersion, projectId } = query
      const to = new Date(from.getTime() + HOUR_MS)
      const question = { meterKey, meterVersion, projectId, from, to, receivedThrough, receivedAfter }
      const rows = await meters.events(organizationId, { ...question, page: { after, limit: limit + 1 } })
      const page = rows.slice(0, limit)
      const last = page.at(-1)
      return {
        data: page.map(({ event, messageId, atMs, receivedMs, value }) => ({
          event,
          messageId,
          timestamp: new Date(atMs).toISOString(),
          receivedAt: new Date(receivedMs).toISOString(),
          value,
        })),
        nextCursor: last && rows.length > limit ? encodeCursor(last, search) : null,
      }
    },
  }
}

const toCounts = ({ value, rowCount, skipped }: Measured) => ({
  value,
  events: String(rowCount),
  skipped: String(skipped),
})
