import type { QuotaState } from '../../events/index.ts'
import type { Plan } from '../catalog/schemas.ts'
import type { Meter } from '../meters/schemas.ts'
import { DECIMAL_ONE, parseDecimal } from '../money/decimal.ts'
import type { QuotaPolicy } from '../subscriptions/quota.ts'
import { type Forecast, forecastOf, HISTORY_MS, HOUR_MS, type HourOfUse, reachedAt } from './forecast.ts'
import type { MeterOutlook, Outlook, PricedPeriod, Whole } from './outlook.ts'

export interface OutlookDependencies {
  subscriptions: {
    current: (organizationId: string) => Promise<{ plan: Plan; period: PricedPeriod | null }>
    quotaPolicyOf: (organizationId: string) => Promise<QuotaPolicy>
  }
  meters: {
    listMeters: (organizationId: string) => Promise<Meter[]>
    usage: (
      organizationId: string,
      question: { meterKey: string; from: Date; to: Date },
    ) => Promise<{ quantity: bigint }>
  }
  /** Events of all projects by hour, from the usage windows. */
  eventHours: (organizationId: string, from: Date, to: Date) => Promise<HourOfUse[]>
  /** The windows of a meter that have events in them. */
  windows: (organizationId: string, span: { key: string; version: number; from: Date; to: Date }) => Promise<Window[]>
  /** What the door has counted, and in which period. */
  atDoor: (organizationId: string) => Promise<QuotaState | null>
  clock: () => Date
}

interface Window {
  windowStart: Date
  value: string
}

export type OutlookService = ReturnType<typeof createOutlookService>

/** How the open period of an organization stands, by counts that are there already, and where it leads. */
export function createOutlookService(dependencies: OutlookDependencies) {
  const { subscriptions, meters, eventHours, windows, atDoor, clock } = dependencies

  /** The hours of the period until now, and of the time before it that a forecast looks at. */
  async function hoursOf(organizationId: string, { key, version, builtIn }: Meter, from: Date, now: Date) {
    const since = new Date(Math.min(from.getTime(), Math.floor((now.getTime() - HISTORY_MS) / HOUR_MS) * HOUR_MS))
    const until = new Date(now.getTime() + HOUR_MS)
    if (builtIn) return { hours: await eventHours(organizationId, since, until), unit: 1n }
    const rows = await windows(organizationId, { key, version, from: since, to: until })
    const hours = rows.map(({ windowStart, value }) => ({
      startMs: windowStart.getTime(),
      quantity: positive(parseDecimal(value)),
    }))
    return { hours, unit: DECIMAL_ONE }
  }

  async function meterOutlook(
    organizationId: string,
    meter: Meter,
    { now, period, whole, door }: { now: Date; period: PricedPeriod; whole: Whole | null; door: QuotaState | null },
  ): Promise<MeterOutlook> {
    const { usageFrom: from, usageTo: to } = period
    const own = { meter: meter.key, whole }
    if (meter.aggregation !== 'count' && meter.aggregation !== 'sum') {
      const { quantity: used } = await meters.usage(organizationId, { meterKey: meter.key, from, to })
      return { ...own, used, isDoors: false, forecast: null, reachesAt: null }
    }
    const { hours, unit } = await hoursOf(organizationId, meter, from, now)
    const isDoors = whole?.kind === 'limit' && door?.period?.startsAtMs === period.startsAt.getTime()
    const counted = sum(hours.filter(({ startMs }) => startMs >= from.getTime()))
    const input = { now, from, to, used: isDoors ? BigInt(door.used) : counted, hours }
    return {
      ...own,
      isDoors,
      used: nearest(input.used, unit),
      forecast: inUnits(forecastOf(input), unit),
      reachesAt: whole && reachedAt(input, whole.quantity * unit),
    }
  }

  return {
    /** Of which meters a part is known in the open period, for those who want no count. */
    async wholes(organizationId: string): Promise<{ periodId: string | null; wholes: Map<string, Whole> }> {
      const { period, plan } = await subscriptions.current(organizationId)
      if (!period) return { periodId: null, wholes: new Map() }
      const { current: quota } = await subscriptions.quotaPolicyOf(organizationId)
      const keys = new Set(['events', ...plan.metered.map(({ meter }) => meter)])
      const found = [...keys].map((key) => [key, wholeOf(key, period, quota.limit)] as const)
      return { periodId: period.id, wholes: new Map(found.filter((one): one is [string, Whole] => one[1] !== null)) }
    },

    /** Null while no period is open. Beside the meters that the plan prices it has `events` and those that are asked for. */
    async read(organizationId: string, more: readonly string[] = []): Promise<Outlook | null> {
      const { period, plan } = await subscriptions.current(organizationId)
      if (!period) return null
      const { current: quota } = await subscriptions.quotaPolicyOf(organizationId)
      const door = await atDoor(organizationId)
      const wanted = new Set(['events', ...plan.metered.map(({ meter }) => meter), ...more])
      const now = clock()
      const outlooks: MeterOutlook[] = []
      for (const meter of await meters.listMeters(organizationId)) {
        if (!wanted.has(meter.key)) continue
        const whole = wholeOf(meter.key, period, quota.limit)
        outlooks.push(await meterOutlook(organizationId, meter, { now, period, whole, door }))
      }
      return { now, period, mode: quota.mode, meters: outlooks }
    },
  }
}

function wholeOf(meterKey: string, { plan }: PricedPeriod, limit: bigint | null): Whole | null {
  if (meterKey === 'events' && limit !== null) return { kind: 'limit', quantity: limit }
  const { included } = plan.metered.find(({ meter }) => meter === meterKey)?.price ?? {}
  return included === undefined || included === '0' ? null : { kind: 'included', quantity: BigInt(included) }
}

function inUnits(forecast: Forecast | null, unit: bigint): Forecast | null {
  if (!forecast) return null
  const { expected, low, high, method } = forecast
  return { expected: nearest(expected, unit), low: nearest(low, unit), high: nearest(high, unit), method }
}

/** A half is rounded up, as it is when it is priced. */
const nearest = (parts: bigint, unit: bigint) => (parts + unit / 2n) / unit
const positive = (parts: bigint) => (parts > 0n ? parts : 0n)
const sum = (hours: readonly HourOfUse[]) => hours.reduce((all, { quantity }) => all + quantity, 0n)
