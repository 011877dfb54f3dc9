import { and, asc, desc, eq, inArray, notInArray } from 'drizzle-orm'
import type { TenantTx } from '../../../infra/postgres.ts'
import { creditNotes, invoices } from '../invoices/tables.ts'
import { billingPeriods } from '../subscriptions/tables.ts'

export type PeriodRow = typeof billingPeriods.$inferSelect
export type InvoiceRow = typeof invoices.$inferSelect

/** The last periods of an organization, newest first. */
export const listPeriods = (tx: TenantTx, organizationId: string, limit: number): Promise<PeriodRow[]> =>
  tx
    .select()
    .from(billingPeriods)
    .where(eq(billingPeriods.organizationId, organizationId))
    .orderBy(desc(billingPeriods.startsAt), desc(billingPeriods.number))
    .limit(limit)

export async function findPeriod(tx: TenantTx, organizationId: string, id: string): Promise<PeriodRow | undefined> {
  const isIt = and(eq(billingPeriods.organizationId, organizationId), eq(billingPeriods.id, id))
  const [row] = await tx.select().from(billingPeriods).where(isIt)
  return row
}

/** Invoices that count, in the order in which they were issued. */
export const listIssued = (tx: TenantTx, organizationId: string): Promise<InvoiceRow[]> =>
  tx
    .select()
    .from(invoices)
    .where(and(eq(invoices.organizationId, organizationId), notInArray(invoices.status, ['draft', 'void'])))
    .orderBy(asc(invoices.issuedAt), asc(invoices.id))

export async function listCredits(tx: TenantTx, organizationId: string, invoiceIds: string[]) {
  if (invoiceIds.length === 0) return []
  const ofThem = and(eq(creditNotes.organizationId, organizationId), inArray(creditNotes.invoiceId, invoiceIds))
  return tx.select({ total: creditNotes.total }).from(creditNotes).where(ofThem)
}
