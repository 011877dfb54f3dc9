import { and, asc, desc, eq, gt, inArray, lte, sql } from 'drizzle-orm'
import type { SystemTx, TenantTx } from '../../../infra/postgres.ts'
import { billingAccounts } from '../accounts/tables.ts'
import { billingCharges, billingPeriods, subscriptionPhases, subscriptions } from './tables.ts'

export type SubscriptionRow = typeof subscriptions.$inferSelect
export type PeriodRow = typeof billingPeriods.$inferSelect

type Tx = TenantTx | SystemTx

/** Makes everybody else who wants to change the subscription of this organization wait until the transaction is over. */
export async function lockAccount(tx: Tx, organizationId: string) {
  await tx.insert(billingAccounts).values({ organizationId }).onConflictDoNothing()
  const [account] = await tx
    .select()
    .from(billingAccounts)
    .where(eq(billingAccounts.organizationId, organizationId))
    .for('no key update')
  if (!account) throw new Error('the billing account is not there')
  return account
}

export async function findAccount(tx: Tx, organizationId: string) {
  const [account] = await tx.select().from(billingAccounts).where(eq(billingAccounts.organizationId, organizationId))
  return account
}

export async function findLive(tx: Tx, organizationId: string): Promise<SubscriptionRow | undefined> {
  const isLive = inArray(subscriptions.status, ['trialing', 'active', 'paused'])
  const [row] = await tx
    .select()
    .from(subscriptions)
    .where(and(eq(subscriptions.organizationId, organizationId), isLive))
  return row
}

/** The open period of an organization, or the last one where none is open. */
export async function findLatestPeriod(tx: Tx, organizationId: string): Promise<PeriodRow | undefined> {
  const [row] = await tx
    .select()
    .from(billingPeriods)
    .where(eq(billingPeriods.organizationId, organizationId))
    .orderBy(desc(sql`${billingPeriods.status} = 'open'`), desc(billingPeriods.startsAt), desc(billingPeriods.number))
    .limit(1)
  return row
}

/** How many phases a subscription has had, and which plans the organization has tried. */
export async function readPhases(tx: Tx, organizationId: string, subscriptionId: string | undefined) {
  const rows = await tx
    .select({
      subscriptionId: subscriptionPhases.subscriptionId,
      planKey: subscriptionPhases.planKey,
      kind: subscriptionPhases.kind,
    })
    .from(subscriptionPhases)
    .where(eq(subscriptionPhases.organizationId, organizationId))
  return {
    phaseCount: rows.filter((row) => row.subscriptionId === subscriptionId).length,
    tried: rows.filter(({ kind }) => kind === 'trial').map(({ planKey }) => planKey),
  }
}

export async function writeCurrency(tx: Tx, organizationId: string, currency: string | null): Promise<void> {
  await tx.update(billingAccounts).set({ currency }).where(eq(billingAccounts.organizationId, organizationId))
}

/** Writes a subscription as it now is, new or not. */
export async function putSubscription(tx: Tx, row: typeof subscriptions.$inferInsert): Promise<void> {
  const { organizationId: _, id: __, ...changed } = row
  await tx
    .insert(subscriptions)
    .values(row)
    .onConflictDoUpdate({ target: [subscriptions.organizationId, subscriptions.id], set: changed })
}

export async function insertPhases(tx: Tx, rows: (typeof subscriptionPhases.$inferInsert)[]): Promise<void> {
  if (rows.length > 0) await tx.insert(subscriptionPhases).values(rows)
}

/** Writes a period as it now is, new or not. What an invoice has made of it stays. */
export async function putPeriod(tx: Tx, row: typeof billingPeriods.$inferInsert): Promise<void> {
  const { endsAt, usageTo, planKey, planVersion, isCustom, status } = row
  await tx
    .insert(billingPeriods)
    .values(row)
    .onConflictDoUpdate({
      target: [billingPeriods.organizationId, billingPeriods.id],
      set: { endsAt, usageTo, planKey, planVersion, isCustom, status },
    })
}

export async function insertCharges(tx: Tx, rows: (typeof billingCharges.$inferInsert)[]): Promise<void> {
  if (rows.length > 0) await tx.insert(billingCharges).values(rows)
}

/** Organizations with a period whose time is over, in the order of their ids from after one on. */
export async function listDue(tx: SystemTx, now: Date, page: { after: string; limit: number }): Promise<string[]> {
  const isDue = and(eq(billingPeriods.status, sql`'open'`), lte(billingPeriods.endsAt, now))
  const rows = await tx
    .select({ organizationId: billingPeriods.organizationId })
    .from(billingPeriods)
    .where(and(isDue, gt(billingPeriods.organizationId, page.after)))
    .orderBy(asc(billingPeriods.organizationId))
    .limit(page.limit)
  return rows.map(({ organizationId }) => organizationId)
}
