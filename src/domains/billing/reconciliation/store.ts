import { and, asc, eq, gt, gte, isNotNull, isNull, lt, ne, or, sql } from 'drizzle-orm'
import type { SystemTx, TenantTx } from '../../../infra/postgres.ts'
import { invoices } from '../invoices/tables.ts'
import { stripeUsageOutbox } from '../stripe/tables.ts'

// Organizations are another domain's table, of which only the ids are of interest here.
export async function listOrganizations(tx: SystemTx, after: string, limit: number): Promise<string[]> {
  const { rows } = await tx.execute<{ id: string }>(
    sql`select id from organizations where id > ${after} order by id limit ${limit}`,
  )
  return rows.map(({ id }) => id)
}

/** The finalized invoices of an organization that were made since a time. */
export function listFinal(tx: TenantTx, organizationId: string, since: Date) {
  return tx
    .select({ id: invoices.id, number: invoices.number })
    .from(invoices)
    .where(
      and(eq(invoices.organizationId, organizationId), ne(invoices.status, 'draft'), gte(invoices.createdAt, since)),
    )
    .orderBy(asc(invoices.id))
}

/** Rows for Stripe that were given up, or that wait since before a time. */
export function listStuck(tx: TenantTx, organizationId: string, before: Date) {
  const { frozenAt, sentAt, deadAt } = stripeUsageOutbox
  const isWaiting = and(isNull(sentAt), isNull(deadAt), lt(frozenAt, before))
  return tx
    .select()
    .from(stripeUsageOutbox)
    .where(and(eq(stripeUsageOutbox.organizationId, organizationId), or(isNotNull(deadAt), isWaiting)))
    .orderBy(asc(stripeUsageOutbox.hour), asc(stripeUsageOutbox.revision))
}

/** Hours of which Stripe was told and that no window counts any more. */
export async function listUncounted(tx: TenantTx, organizationId: string, since: Date) {
  return tx
    .select({ hour: stripeUsageOutbox.hour, quantity: sql<string>`sum(${stripeUsageOutbox.quantity})::text` })
    .from(stripeUsageOutbox)
    .where(
      and(
        eq(stripeUsageOutbox.organizationId, organizationId),
        gt(stripeUsageOutbox.hour, since),
        sql`not exists (select from usage_windows w where w.organization_id = ${organizationId}
          and w.window_start = ${stripeUsageOutbox.hour})`,
      ),
    )
    .groupBy(stripeUsageOutbox.hour)
    .having(sql`sum(${stripeUsageOutbox.quantity}) <> 0`)
}
