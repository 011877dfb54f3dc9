import { and, asc, desc, eq, gt, gte, inArray, lt, sql } from 'drizzle-orm'
import type { SystemTx, TenantTx } from '../../../infra/postgres.ts'
import { invoiceLines } from '../invoices/tables.ts'
import { billingCharges, billingPeriods, subscriptions } from '../subscriptions/tables.ts'

export type PastPeriod = typeof billingPeriods.$inferSelect & { timeZone: string }

/** The last periods of an organization that were paid for and have their invoice behind them, the oldest first. */
export async function listBilled(tx: TenantTx, organizationId: string, limit: number): Promise<PastPeriod[]> {
  const rows = await tx
    .select({ period: billingPeriods, timeZone: subscriptions.timeZone })
    .from(billingPeriods)
    .innerJoin(
      subscriptions,
      and(
        eq(subscriptions.organizationId, billingPeriods.organizationId),
        eq(subscriptions.id, billingPeriods.subscriptionId),
      ),
    )
    .where(and(eq(billingPeriods.organizationId, organizationId), isBilled))
    .orderBy(desc(billingPeriods.startsAt))
    .limit(limit)
  return rows.toReversed().map(({ period, timeZone }) => ({ ...period, timeZone }))
}

const isBilled = and(eq(billingPeriods.status, 'invoiced'), eq(billingPeriods.isTrial, false))

const OF_PLAN = ['base', 'proration_charge', 'proration_credit'] as const

/** What the plan itself cost in the time of a period, whichever invoice it stood on. */
export async function baseBilled(
  tx: TenantTx,
  { organizationId, subscriptionId, startsAt, endsAt }: PastPeriod,
): Promise<bigint> {
  const [row] = await tx
    .select({ amount: sql<string>`coalesce(sum(${billingCharges.amount}), 0)` })
    .from(billingCharges)
    .where(
      and(
        eq(billingCharges.organizationId, organizationId),
        eq(billingCharges.subscriptionId, subscriptionId),
        inArray(billingCharges.kind, [...OF_PLAN]),
        gte(billingCharges.fromAt, startsAt),
        lt(billingCharges.fromAt, endsAt),
      ),
    )
  return BigInt(row?.amount ?? 0)
}

/** The usage lines of the invoice of a period; none where nothing was to be paid. */
export async function usageBilled(tx: TenantTx, { organizationId, invoiceId }: PastPeriod) {
  if (invoiceId === null) return []
  return tx
    .select({
      meterKey: invoiceLines.meterKey,
      meterVersion: invoiceLines.meterVersion,
      amount: invoiceLines.amount,
    })
    .from(invoiceLines)
    .where(
      and(
        eq(invoiceLines.organizationId, organizationId),
        eq(invoiceLines.invoiceId, invoiceId),
        eq(invoiceLines.kind, 'usage'),
      ),
    )
}

/** Organizations with a period to look back on, in the order of their ids, from after one on. */
export async function listOrganizations(
  tx: SystemTx,
  { after, limit, planKey }: { after: string; limit: number; planKey: string | undefined },
): Promise<string[]> {
  const onPlan = planKey === undefined ? undefined : eq(billingPeriods.planKey, planKey)
  const rows = await tx
    .selectDistinct({ id: billingPeriods.organizationId })
    .from(billingPeriods)
    .where(and(isBilled, onPlan, gt(billingPeriods.organizationId, after)))
    .orderBy(asc(billingPeriods.organizationId))
    .limit(limit)
  return rows.map(({ id }) => id)
}
