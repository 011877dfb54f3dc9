import { and, asc, desc, eq, isNull, lt, notInArray, or, sql } from 'drizzle-orm'
import type { SystemTx, TenantTx } from '../../../infra/postgres.ts'
import { stripeAccounts, stripeInvoices, stripeSubscriptions } from './tables.ts'

export type AccountRow = typeof stripeAccounts.$inferSelect
export type SubscriptionRow = typeof stripeSubscriptions.$inferSelect
export type InvoiceRow = typeof stripeInvoices.$inferSelect

/** States that a subscription never leaves. */
export const ENDED_SUBSCRIPTION = ['canceled', 'incomplete_expired']
/** The same of an invoice. */
export const ENDED_INVOICE = ['paid', 'void']

export async function ensureAccount(tx: TenantTx, organizationId: string): Promise<void> {
  await tx.insert(stripeAccounts).values({ organizationId }).onConflictDoNothing()
}

export async function findAccount(tx: TenantTx, organizationId: string): Promise<AccountRow | undefined> {
  const [row] = await tx.select().from(stripeAccounts).where(eq(stripeAccounts.organizationId, organizationId))
  return row
}

interface Lease {
  organizationId: string
  holder: string
}

/** Resolves to the account, or to nothing while somebody else has it. */
export async function takeLease(
  tx: TenantTx,
  { organizationId, holder, now, until }: Lease & { now: Date; until: Date },
): Promise<AccountRow | undefined> {
  const isFree = or(isNull(stripeAccounts.leaseUntil), lt(stripeAccounts.leaseUntil, now))
  const [row] = await tx
    .update(stripeAccounts)
    .set({ leaseHolder: holder, leaseUntil: until })
    .where(and(eq(stripeAccounts.organizationId, organizationId), isFree))
    .returning()
  return row
}

/** Writes what whoever has the lease has found; resolves to whether they still have it. */
export async function changeAccount(
  tx: TenantTx,
  { organizationId, holder }: Lease,
  change: { customerId?: string; checkout?: AccountRow['checkout']; leaseHolder?: null; leaseUntil?: null },
): Promise<boolean> {
  const isHeld = and(eq(stripeAccounts.organizationId, organizationId), eq(stripeAccounts.leaseHolder, holder))
  const rows = await tx
    .update(stripeAccounts)
    .set(change)
    .where(isHeld)
    .returning({ id: stripeAccounts.organizationId })
  return rows.length > 0
}

/** Whose customer it is. Ids of Stripe's are unique; two organizations with one would be a fault of ours that must not pass. */
export async function findOrganizationOf(tx: SystemTx, customerId: string): Promise<string | undefined> {
  const rows = await tx
    .select({ organizationId: stripeAccounts.organizationId })
    .from(stripeAccounts)
    .where(eq(stripeAccounts.customerId, customerId))
    .limit(2)
  if (rows.length > 1) throw new Error('two organizations are one customer')
  return rows[0]?.organizationId
}

/** Whose an object of Stripe's is; undefined where nothing is stored of it. */
export async function findOrganizationOfObject(tx: SystemTx, id: string): Promise<string | undefined> {
  const { rows } = await tx.execute<{ organization_id: string }>(sql`
    select organization_id from stripe_subscriptions where id = ${id}
    union select organization_id from stripe_invoices where id = ${id}
    union select organization_id from stripe_accounts where customer_id = ${id} limit 1`)
  return rows[0]?.organization_id
}

/** Forgets a customer that Stripe has deleted; the next one is another. */
export async function forgetCustomer(tx: TenantTx, organizationId: string, customerId: string): Promise<void> {
  await tx
    .update(stripeAccounts)
    .set({ customerId: null, checkout: null, customerNumber: sql`customer_number + 1` })
    .where(and(eq(stripeAccounts.organizationId, organizationId), eq(stripeAccounts.customerId, customerId)))
}

export async function lockAccount(tx: TenantTx, organizationId: string): Promise<void> {
  await tx
    .select({ id: stripeAccounts.organizationId })
    .from(stripeAccounts)
    .where(eq(stripeAccounts.organizationId, organizationId))
    .for('update')
}

/** All subscriptions that an organization has had, in the order of their making. */
export async function listSubscriptions(tx: TenantTx, organizationId: string): Promise<SubscriptionRow[]> {
  return tx
    .select()
    .from(stripeSubscriptions)
    .where(eq(stripeSubscriptions.organizationId, organizationId))
    .orderBy(asc(stripeSubscriptions.createdAt), asc(stripeSubscriptions.id))
}

/** A subscription that has not ended, the oldest where there are several. */
export async function findLiveSubscription(tx: TenantTx, organizationId: string): Promise<SubscriptionRow | undefined> {
  const [row] = await tx
    .select()
    .from(stripeSubscriptions)
    .where(
      and(
        eq(stripeSubscriptions.organizationId, organizationId),
        notInArray(stripeSubscriptions.status, ENDED_SUBSCRIPTION),
      ),
    )
    .orderBy(asc(stripeSubscriptions.createdAt), asc(stripeSubscriptions.id))
    .limit(1)
  return row
}

/** Of several that have ended, the one that was made last. */
export async function findLastSubscription(tx: TenantTx, organizationId: string): Promise<SubscriptionRow | undefined> {
  const [row] = await tx
    .select()
    .from(stripeSubscriptions)
    .where(eq(stripeSubscriptions.organizationId, organizationId))
    .orderBy(desc(stripeSubscriptions.createdAt), desc(stripeSubscriptions.id))
    .limit(1)
  return row
}

export async function findSubscription(tx: TenantTx, id: string): Promise<SubscriptionRow | undefined> {
  const [row] = await tx.select().from(stripeSubscriptions).where(eq(stripeSubscriptions.id, id))
  return row
}

export async function readInvoice(tx: TenantTx, id: string): Promise<InvoiceRow | undefined> {
  const [row] = await tx.select().from(stripeInvoices).where(eq(stripeInvoices.id, id))
  return row
}

/** Reads an invoice and makes whoever else stores it wait. */
export async function findInvoice(tx: TenantTx, id: string): Promise<InvoiceRow | undefined> {
  const [row] = await tx.select().from(stripeInvoices).where(eq(stripeInvoices.id, id)).for('update')
  return row
}

/** Writes a snapshot unless a later reader has written one; resolves to whether it did. */
export async function putSubscription(tx: TenantTx, row: SubscriptionRow): Promise<boolean> {
  const rows = await tx
    .insert(stripeSubscriptions)
    .values(row)
    .onConflictDoUpdate({
      target: [stripeSubscriptions.organizationId, stripeSubscriptions.id],
      set: row,
      setWhere: lt(stripeSubscriptions.epoch, row.epoch),
    })
    .returning({ id: stripeSubscriptions.id })
  return rows.length > 0
}

export async function putInvoice(tx: TenantTx, row: InvoiceRow): Promise<boolean> {
  const rows = await tx
    .insert(stripeInvoices)
    .values(row)
    .onConflictDoUpdate({
      target: [stripeInvoices.organizationId, stripeInvoices.id],
      set: row,
      setWhere: lt(stripeInvoices.epoch, row.epoch),
    })
    .returning({ id: stripeInvoices.id })
  return rows.length > 0
}
