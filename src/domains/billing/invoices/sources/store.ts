import { and, asc, desc, eq, inArray, isNull, ne, sql } from 'drizzle-orm'
import type { SystemTx, TenantTx } from '../../../../infra/postgres.ts'
import { billingAccounts } from '../../accounts/tables.ts'
import type { CouponTerms } from '../../coupons/schemas.ts'
import { redeemedCoupons } from '../../coupons/tables.ts'
import { billingCharges, billingPeriods, subscriptions } from '../../subscriptions/tables.ts'
import { creditEntries } from '../tables.ts'

/** What invoices are made of, as the rest of billing has written it. Every statement names the organization: jobs act for all. */

type Tx = TenantTx | SystemTx
export type PeriodRow = typeof billingPeriods.$inferSelect
export type ChargeRow = typeof billingCharges.$inferSelect

/** Makes whoever else bills or changes this organization wait until the transaction is over. */
export async function lockAccount(tx: Tx, organizationId: string): Promise<void> {
  await tx.execute(sql`select 1 from billing_accounts where organization_id = ${organizationId} for no key update`)
}

export async function findAccount(tx: Tx, organizationId: string) {
  const [row] = await tx.select().from(billingAccounts).where(eq(billingAccounts.organizationId, organizationId))
  return row
}

/** Who is billed; one that never said goes by the name of the organization. */
export async function readBuyer(tx: Tx, organizationId: string) {
  const { rows } = await tx.execute<{ name: string }>(sql`select name from organizations where id = ${organizationId}`)
  const account = await findAccount(tx, organizationId)
  return {
    buyer: {
      organizationId,
      name: account?.name || rows[0]?.name || organizationId,
      address: account?.address ?? [],
      taxId: account?.taxId ?? null,
      email: account?.email ?? null,
    },
    taxBasisPoints: BigInt(account?.taxBasisPoints ?? 0),
    currency: account?.currency ?? null,
  }
}

/** Settles in which currency an organization is billed, of which nothing is known yet. */
export async function writeCurrency(tx: Tx, organizationId: string, currency: string): Promise<void> {
  await tx.update(billingAccounts).set({ currency }).where(eq(billingAccounts.organizationId, organizationId))
}

/** The addresses of an organization's owners. */
export async function listOwners(tx: Tx, organizationId: string): Promise<string[]> {
  const { rows } = await tx.execute<{ email: string }>(sql`
    select u.email from memberships m join users u on u.id = m.user_id
    where m.organization_id = ${organizationId} and m.role = 'owner' order by u.email`)
  return rows.map(({ email }) => email)
}

/** Periods that are over and not billed yet, the first of each organization. */
export async function listEnded(tx: SystemTx, page: { after: string; limit: number }): Promise<PeriodRow[]> {
  return tx
    .selectDistinctOn([billingPeriods.organizationId])
    .from(billingPeriods)
    .where(and(eq(billingPeriods.status, 'ended'), sql`${billingPeriods.organizationId} > ${page.after}`))
    .orderBy(asc(billingPeriods.organizationId), asc(billingPeriods.endsAt), asc(billingPeriods.number))
    .limit(page.limit)
}

export async function listWithChargesDue(tx: SystemTx, page: { after: string; limit: number }): Promise<string[]> {
  const rows = await tx
    .selectDistinct({ organizationId: billingCharges.organizationId })
    .from(billingCharges)
    .where(
      and(
        isNull(billingCharges.invoiceId),
        eq(billingCharges.due, 'now'),
        isAmount,
        sql`organization_id > ${page.after}`,
      ),
    )
    .orderBy(asc(billingCharges.organizationId))
    .limit(page.limit)
  return rows.map(({ organizationId }) => organizationId)
}

/** All periods of an organization that have begun, in their order. */
export async function listPeriods(tx: Tx, organizationId: string): Promise<PeriodRow[]> {
  return tx
    .select()
    .from(billingPeriods)
    .where(eq(billingPeriods.organizationId, organizationId))
    .orderBy(asc(billingPeriods.usageFrom), asc(billingPeriods.usageTo), asc(billingPeriods.startsAt))
}

export async function findPeriod(tx: Tx, organizationId: string, id: string): Promise<PeriodRow | undefined> {
  const [row] = await tx
    .select()
    .from(billingPeriods)
    .where(and(eq(billingPeriods.organizationId, organizationId), eq(billingPeriods.id, id)))
  return row
}

const isAmount = ne(billingCharges.amount, 0n)
const inOrder = [asc(billingCharges.createdAt), asc(billingCharges.id)]

/** What the invoice of a period takes beside usage; charges of nothing are left out. */
export async function listPeriodCharges(tx: Tx, organizationId: string, periodId: string): Promise<ChargeRow[]> {
  return tx
    .select()
    .from(billingCharges)
    .where(
      and(
        eq(billingCharges.organizationId, organizationId),
        eq(billingCharges.periodId, periodId),
        eq(billingCharges.due, 'period_end'),
        isNull(billingCharges.invoiceId),
        isAmount,
      ),
    )
    .orderBy(...inOrder)
}

export async function listChargesDue(tx: Tx, organizationId: string): Promise<ChargeRow[]> {
  return tx
    .select()
    .from(billingCharges)
    .where(
      and(
        eq(billingCharges.organizationId, organizationId),
        eq(billingCharges.due, 'now'),
        isNull(billingCharges.invoiceId),
        isAmount,
      ),
    )
    .orderBy(...inOrder)
}

export async function listInvoicedCharges(tx: Tx, organizationId: string, invoiceId: string): Promise<ChargeRow[]> {
  return tx
    .select()
    .from(billingCharges)
    .where(and(eq(billingCharges.organizationId, organizationId), eq(billingCharges.invoiceId, invoiceId)))
    .orderBy(...inOrder)
}

export async function markCharges(tx: Tx, organizationId: string, ids: string[], invoiceId: string): Promise<void> {
  if (ids.length === 0) return
  await tx
    .update(billingCharges)
    .set({ invoiceId })
    .where(and(eq(billingCharges.organizationId, organizationId), inArray(billingCharges.id, ids)))
}

type Closing = Partial<Pick<PeriodRow, 'status' | 'cutOff' | 'invoiceId'>>

export async function updatePeriod(tx: Tx, { organizationId, id }: PeriodRow, closing: Closing): Promise<void> {
  await tx
    .update(billingPeriods)
    .set(closing)
    .where(and(eq(billingPeriods.organizationId, organizationId), eq(billingPeriods.id, id)))
}

/** The coupons of an organization, the first redeemed first, which is the order in which they count. */
export async function listCoupons(tx: Tx, organizationId: string) {
  const rows = await tx
    .select()
    .from(redeemedCoupons)
    .where(eq(redeemedCoupons.organizationId, organizationId))
    .orderBy(asc(redeemedCoupons.redeemedAt), asc(redeemedCoupons.id))
  return rows.map((row) => ({ ...row, coupon: row.coupon as CouponTerms }))
}

/** Invoices on which coupons took something off, the void ones left out. Drafts are among them only where they are for a forecast. */
async function listDiscounted(tx: Tx, organizationId: string, forecastOf: string | undefined) {
  const isDraftBefore = sql`i.status = 'draft' and i.period_id <> ${forecastOf ?? null}::text`
  const { rows } = await tx.execute<Discounted>(sql`
    select i.period_id as "periodId", jsonb_path_query_array(
        i.document::jsonb, '$.coupons[*] ? (@.discount != "0").id') as "couponIds",
      coalesce(json_agg(json_build_object('periodId', c.period_id, 'kind', c.kind)) filter (where c.id is not null), '[]') as charges
    from invoices i
    left join billing_charges c
      on c.organization_id = i.organization_id and c.invoice_id = i.id and i.period_id is null
    where i.organization_id = ${organizationId} and i.discount <> 0
      and (i.status not in ('draft', 'void') or (${isDraftBefore}))
    group by i.organization_id, i.id`)
  return rows
}

type Discounted = {
  periodId: string | null
  couponIds: string[]
  charges: { periodId: string; kind: string }[]
}

/** What the coupons of an organization are, and where they have counted. */
async function readCoupons(tx: Tx, organizationId: string, forecastOf: string | undefined) {
  const redeemed = await listCoupons(tx, organizationId)
  if (redeemed.length === 0) return { redeemed, discounted: [], periods: [] }
  const discounted = await listDiscounted(tx, organizationId, forecastOf)
  return { redeemed, discounted, periods: await listPeriods(tx, organizationId) }
}

/** Whether another period begins when one that runs is over. After a pause none does. */
export async function isFollowed(tx: Tx, { organizationId, subscriptionId }: PeriodRow): Promise<boolean> {
  const [row] = await tx
    .select({ status: subscriptions.status, ends: subscriptions.cancelAtPeriodEnd })
    .from(subscriptions)
    .where(and(eq(subscriptions.organizationId, organizationId), eq(subscriptions.id, subscriptionId)))
  return row?.status !== 'paused' || row.ends
}

/** What there is in credit, and which entry of the ledger says so. */
async function readCredit(tx: Tx, organizationId: string) {
  const [last] = await tx
    .select({ credit: creditEntries.balance, creditSequence: creditEntries.sequence })
    .from(creditEntries)
    .where(eq(creditEntries.organizationId, organizationId))
    .orderBy(desc(creditEntries.sequence))
    .limit(1)
  return last ?? { credit: 0n, creditSequence: 0 }
}

/**
 * Who collects what a period costs: Stripe, where a subscription there was alive in it that its own followed. What is called Stripe's is
 * never asked for by us, and what is not is never billed there.
 */
export async function collectorOf(tx: Tx, organizationId: string, periodId: string): Promise<'stripe' | null> {
  const { rows } = await tx.execute(sql`
    select 1 from billing_periods p
    join subscriptions s on s.organization_id = p.organization_id and s.id = p.subscription_id
    join stripe_subscriptions x on x.organization_id = p.organization_id
    where p.organization_id = ${organizationId} and p.id = ${periodId} and s.stripe_subscription_id is not null
      and x.status not in ('incomplete', 'incomplete_expired') and x.created_at < p.ends_at
      and (x.status <> 'canceled' or p.starts_at < case when x.cancel_at_period_end then x.period_ends_at else x.canceled_at end)`)
  return rows.length > 0 ? 'stripe' : null
}

/**
 * Everything beside events and plans that the next invoice over some charges comes from. A forecast of the invoice of a period counts what
 * drafts of others say, as they will be issued before.
 */
export async function readFacts(
  tx: Tx,
  organizationId: string,
  { charges, collectedBy, forecastOf }: { charges: ChargeRow[]; collectedBy: 'stripe' | null; forecastOf?: string },
) {
  return {
    collectedBy,
    ...(await readBuyer(tx, organizationId)),
    charges,
    coupons: await readCoupons(tx, organizationId, forecastOf),
    ...(await readCredit(tx, organizationId)),
  }
}
