import { Problem } from '../../../errors.ts'
import type { Plan } from '../catalog/schemas.ts'
import type { BilledPeriod, Charge, LateUsage, Measured, Usage } from './lines.ts'

/** Which events a meter is asked about. */
interface UsageQuestion {
  meterKey: string
  meterVersion?: number | undefined
  from: Date
  to: Date
  receivedThrough?: Date | undefined
  receivedAfter?: Date | undefined
}

/** What meters say, from the events themselves. */
export interface Meters {
  usage: (organizationId: string, question: UsageQuestion) => Promise<Measured>
}

export interface Plans {
  planVersion: (planKey: string, version?: number) => Promise<Plan>
  customPlan: (organizationId: string, planKey: string, version?: number) => Promise<Plan>
}

/** A period as it is stored, with the name of its plan only. */
export interface StoredPeriod {
  organizationId: string
  id: string
  number: number
  startsAt: Date
  endsAt: Date
  usageFrom: Date
  usageTo: Date
  isTrial: boolean
  planKey: string
  planVersion: number
  isCustom: boolean
  cutOff: Date | null
  invoiceId: string | null
}

export interface Measurement {
  cutOff: Date
  /** Earlier periods, in their order. */
  earlier: readonly StoredPeriod[]
  previousCutOff: Date | null
  /** The versions of meters that are given, as `period meter`; the newest of the others. */
  versions: ReadonlyMap<string, number>
  /** Whether an invoice is there already, whose lines name all versions. */
  isRerun?: true
  /** The numbers of earlier invoices. */
  numbers: ReadonlyMap<string, string | null>
}

interface Known {
  /** All of the organization's, in their order. */
  periods: readonly StoredPeriod[]
  versions: Measurement['versions']
  numbers: Measurement['numbers']
}

/** What has to be asked of the events for the invoice of a period, up to a cut-off. */
export function measurementOf(period: StoredPeriod, { periods, ...known }: Known, cutOff: Date): Measurement {
  const earlier = periods.filter(({ id, usageTo }) => id !== period.id && usageTo <= period.usageFrom)
  const times = earlier.flatMap((one) => one.cutOff?.getTime() ?? [])
  return { ...known, cutOff, earlier, previousCutOff: times.length > 0 ? new Date(Math.max(...times)) : null }
}

/** Stripe closes an invoice an hour after its period, and bills what comes later with the next: so do we where it collects. */
const STRIPE_GRACE_MS = 3_600_000

export const graceOf = (collectedBy: 'stripe' | null, graceMs: number): number =>
  collectedBy ? Math.min(graceMs, STRIPE_GRACE_MS) : graceMs

/**
 * Until when an event may come and still be on the invoice of its period: for a while after the end, and never before the cut-off of a
 * period before, which ends what is late for that one.
 */
export function cutOffOf(period: StoredPeriod, { previousCutOff }: Measurement, graceMs: number): Date {
  const plain = new Date(period.endsAt.getTime() + graceMs)
  return period.cutOff ?? (previousCutOff && previousCutOff > plain ? previousCutOff : plain)
}

/** Reads what invoices are computed from: plans, and the events behind every quantity. */
export function createGathering({ meters, plans }: { meters: Meters; plans: Plans }) {
  async function billedPeriod(row: StoredPeriod): Promise<BilledPeriod> {
    const { organizationId, planKey, planVersion, isCustom, id, number, isTrial } = row
    const plan = isCustom
      ? await plans.customPlan(organizationId, planKey, planVersion)
      : await plans.planVersion(planKey, planVersion)
    const { startsAt, endsAt, usageFrom, usageTo } = row
    return { id, number, startsAt, endsAt, usageFrom, usageTo, isTrial, plan: { ...plan, isCustom } }
  }

  async function usages(
    organizationId: string,
    period: BilledPeriod,
    { cutOff, versions, isRerun }: Measurement,
  ): Promise<Usage[]> {
    const { usageFrom: from, usageTo: to } = period
    const found: Usage[] = []
    for (const { meter, price } of period.plan.metered) {
      const meterVersion = versions.get(`${period.id} ${meter}`)
      // What had no line when the invoice was made was a meter that was not there.
      if (isRerun && meterVersion === undefined) continue
      const question = { meterKey: meter, meterVersion, from, to, receivedThrough: cutOff }
      const measured = await meters.usage(organizationId, question).catch(ignoreMissing)
      if (measured) found.push({ meter, price, measured })
    }
    return found
  }

  /** What came after the invoice of the period before and belongs to earlier periods. */
  async function lateUsages(organizationId: string, measurement: Measurement): Promise<LateUsage[]> {
    const { earlier, cutOff, previousCutOff } = measurement
    const [first, last] = [earlier[0], earlier.at(-1)]
    if (!first || !last || !previousCutOff) return []
    const came = { receivedAfter: previousCutOff, receivedThrough: cutOff }
    const all = { meterKey: 'events', from: first.usageFrom, to: last.usageTo, ...came }
    if ((await meters.usage(organizationId, all)).rowCount === 0n) return []
    const found: LateUsage[] = []
    for (const row of earlier) found.push(...(await latePeriod(organizationId, row, measurement, came)))
    return found
  }

  async function latePeriod(
    organizationId: string,
    row: StoredPeriod,
    { versions, numbers }: Measurement,
    { receivedAfter, receivedThrough }: { receivedAfter: Date; receivedThrough: Date },
  ): Promise<LateUsage[]> {
    const range = { from: row.usageFrom, to: row.usageTo }
    const any = { meterKey: 'events', ...range, receivedAfter, receivedThrough }
    if ((await meters.usage(organizationId, any)).rowCount === 0n) return []
    const period = await billedPeriod(row)
    const invoice = row.invoiceId === null ? null : { id: row.invoiceId, number: numbers.get(row.invoiceId) ?? null }
    const found: LateUsage[] = []
    for (const { meter, price } of period.plan.metered) {
      const which = { meterKey: meter, meterVersion: versions.get(`${row.id} ${meter}`), ...range }
      const late = await meters.usage(organizationId, { ...which, receivedAfter, receivedThrough }).catch(ignoreMissing)
      if (!late || late.rowCount === 0n) continue
      const before = await meters.usage(organizationId, { ...which, receivedThrough: receivedAfter })
      const after = await meters.usage(organizationId, { ...which, receivedThrough })
      found.push({ period, invoice, meter, price, before, after })
    }
    return found
  }

  return {
    billedPeriod,

    /** Everything about a period that comes from plans and events. It asks over the network, so no transaction may wait for it. */
    async measure(organizationId: string, row: StoredPeriod, measurement: Measurement) {
      const period = await billedPeriod(row)
      return {
        period,
        usages: await usages(organizationId, period, measurement),
        late: await lateUsages(organizationId, measurement),
      }
    },
  }
}

/** A plan may price a meter that an organization has not defined: then it has not been used. */
function ignoreMissing(error: unknown): undefined {
  if (error instanceof Problem && error.code === 'billing.meter_not_found') return undefined
  throw error
}

export type Measurements = Awaited<ReturnType<ReturnType<typeof createGathering>['measure']>>

export interface StoredCharge {
  id: string
  kind: string
  description: string
  amount: bigint
  fromAt: Date | null
  toAt: Date | null
  planKey: string
  planVersion: number
  isCustom: boolean
}

export const toCharge = ({ id, kind, description, amount, fromAt, toAt, ...plan }: StoredCharge): Charge => ({
  id,
  kind,
  description,
  amount,
  from: fromAt,
  to: toAt,
  plan: { key: plan.planKey, version: plan.planVersion, isCustom: plan.isCustom },
})
