import { Problem } from '../../../errors.ts'
import type { Postgres } from '../../../infra/postgres.ts'
import type { PlanTerms } from '../catalog/plan.ts'
import { termsFaults } from '../catalog/terms.ts'
import { planInvalid } from '../errors.ts'
import { buildInvoice } from '../invoices/build.ts'
import type { InvoiceDocument } from '../invoices/document.ts'
import type { Meters, Plans } from '../invoices/gathering.ts'
import type { Usage } from '../invoices/lines.ts'
import { prorate, secondsBetween } from '../pricing/prorate.ts'
import { boundaryAfter } from '../subscriptions/period-clock.ts'
import type { Backtest, ComparedPeriod, SkipReason } from './compared.ts'
import * as store from './store.ts'

interface Dependencies {
  postgres: Postgres
  meters: Meters
  plans: Plans
}

export type BacktestService = ReturnType<typeof createBacktestService>

/**
 * What real past periods would have cost on a draft of a plan. The draft is priced by the code that makes invoices, from the very events
 * that the invoice of the period counted. Both sides are before coupons and tax, which belong to the customer and not to the plan, and
 * without what came late and was adjusted afterwards. Trials cost nothing on any plan and are left out.
 */
export function createBacktestService({ postgres, meters, plans }: Dependencies) {
  async function planOf({ organizationId, planKey, planVersion, isCustom }: store.PastPeriod) {
    return isCustom ? plans.customPlan(organizationId, planKey, planVersion) : plans.planVersion(planKey, planVersion)
  }

  async function compare(period: store.PastPeriod, terms: PlanTerms): Promise<ComparedPeriod | SkipReason> {
    const { organizationId, cutOff } = period
    const plan = await planOf(period)
    if (plan.interval !== terms.interval) return 'interval'
    const { base, lines } = await postgres.withTenant(organizationId, async (tx) => ({
      base: await store.baseBilled(tx, period),
      lines: await store.usageBilled(tx, period),
    }))
    const billed = lines.reduce((sum, { amount }) => sum + amount, base)
    if (plan.currency !== terms.currency && billed !== 0n) return 'currency'
    const versions = new Map(lines.map(({ meterKey, meterVersion }) => [meterKey, meterVersion ?? undefined]))
    const usages = await usagesOf(period, cutOff ?? period.endsAt, terms, versions)
    if (!usages) return 'meter'
    const document = draftInvoice(period, terms, usages)
    const { id: periodId, startsAt, endsAt, planKey, planVersion, isCustom } = period
    const draft = BigInt(document.amount)
    return { periodId, startsAt, endsAt, planKey, planVersion, isCustom, billed, draft, lines: document.lines }
  }

  /** Undefined when the organization has no such meter. */
  async function usagesOf(
    { organizationId, usageFrom: from, usageTo: to }: store.PastPeriod,
    receivedThrough: Date,
    { metered }: PlanTerms,
    versions: ReadonlyMap<string | null, number | undefined>,
  ): Promise<Usage[] | undefined> {
    const usages: Usage[] = []
    for (const { meter, price } of metered) {
      const question = { meterKey: meter, meterVersion: versions.get(meter), from, to, receivedThrough }
      const measured = await meters.usage(organizationId, question).catch(unlessMissing)
      if (!measured) return undefined
      usages.push({ meter, price, measured })
    }
    return usages
  }

  async function backtest(organizationId: string, terms: PlanTerms, periods: number): Promise<Backtest> {
    const past = await postgres.withTenant(organizationId, (tx) => store.listBilled(tx, organizationId, periods))
    const result: Backtest = { periods: [], skipped: [] }
    for (const period of past) {
      const compared = await compare(period, terms)
      if (typeof compared === 'string') result.skipped.push({ periodId: period.id, reason: compared })
      else result.periods.push(compared)
    }
    return result
  }

  return {
    /** The last periods of one organization, as many as are asked for. Throws 422 with every fault of the terms. */
    async ofOrganization(organizationId: string, terms: PlanTerms, periods: number): Promise<Backtest> {
      refuseFaults(terms)
      return backtest(organizationId, terms, periods)
    },

    /** The same of every organization, one after the other, or of those that were ever on a plan. */
    async *ofAll(terms: PlanTerms, { periods, planKey }: { periods: number; planKey?: string | undefined }) {
      refuseFaults(terms)
      for (let after = ''; ; ) {
        const page = { after, limit: PAGE, planKey }
        const ids = await postgres.withSystem((tx) => store.listOrganizations(tx, page))
        for (const organizationId of ids) yield { organizationId, ...(await backtest(organizationId, terms, periods)) }
        const last = ids.at(-1)
        if (last === undefined || ids.length < PAGE) return
        after = last
      }
    },
  }
}

const PAGE = 100

function refuseFaults(terms: PlanTerms): void {
  const errors = termsFaults(terms)
  if (errors.length > 0) throw planInvalid('The terms have faults; `errors` names each.', { errors })
}

function unlessMissing(error: unknown): undefined {
  if (error instanceof Problem && error.code === 'billing.meter_not_found') return undefined
  throw error
}

/** An invoice that was never made: the base price and the usage of one period, for a buyer who has no coupons and pays no tax. */
function draftInvoice(period: store.PastPeriod, terms: PlanTerms, usages: readonly Usage[]): InvoiceDocument {
  const { organizationId, startsAt, endsAt, subscriptionId, cutOff } = period
  const nobody = { name: '', address: [], taxId: null }
  const amount = baseOf(period, terms)
  const charge = { id: 'draft', kind: 'base', description: terms.name, from: startsAt, to: endsAt, plan: null }
  return buildInvoice({
    reason: 'period',
    currency: terms.currency,
    seller: nobody,
    buyer: { ...nobody, organizationId, email: null },
    subscriptionId,
    period: { ...period, plan: { ...terms, key: 'draft', version: 1, isCustom: false } },
    cutOff: cutOff ?? endsAt,
    previousCutOff: null,
    usages,
    late: [],
    charges: amount === 0n ? [] : [{ ...charge, amount }],
    coupons: [],
    collectedBy: null,
    taxBasisPoints: 0n,
    credit: 0n,
    issue: null,
  })
}

/** The base price of a whole period; of one that ended early, the share of its seconds. */
function baseOf({ startsAt, endsAt, timeZone }: store.PastPeriod, { basePrice, interval }: PlanTerms): bigint {
  const price = BigInt(basePrice ?? 0)
  // A period that begins on a day which its month had to cut ends later than a month after it, and is whole.
  const whole = boundaryAfter({ anchor: startsAt, timeZone, interval }, startsAt)
  if (endsAt >= whole) return price
  return prorate(price, { from: 0n, to: secondsBetween(startsAt, endsAt), period: secondsBetween(startsAt, whole) })
}
