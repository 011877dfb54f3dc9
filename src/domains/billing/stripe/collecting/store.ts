import { and, eq, sql } from 'drizzle-orm'
import type { TenantTx } from '../../../../infra/postgres.ts'
import { invoices } from '../../invoices/tables.ts'
import { stripeInvoices } from '../tables.ts'

/** Invoices of ours that Stripe is to collect and that are not paid yet. */
export async function listToCollect(tx: TenantTx, organizationId: string) {
  return tx
    .select({ id: invoices.id, document: invoices.document, total: invoices.total, currency: invoices.currency })
    .from(invoices)
    .where(
      and(
        eq(invoices.organizationId, organizationId),
        eq(invoices.status, 'open'),
        sql`${invoices.document}::jsonb ->> 'collectedBy' = 'stripe'`,
      ),
    )
}

/** Invoices of Stripe's that were paid. */
export async function listCollected(tx: TenantTx, organizationId: string) {
  return tx
    .select()
    .from(stripeInvoices)
    .where(and(eq(stripeInvoices.organizationId, organizationId), eq(stripeInvoices.status, 'paid')))
}
