import { and, desc, eq } from 'drizzle-orm'
import type { TenantTx } from '../../../../infra/postgres.ts'
import { billingPeriods } from '../../subscriptions/tables.ts'

/** The last periods of an organization, newest first. */
export function listPeriods(tx: TenantTx, organizationId: string, limit: number) {
  return tx
    .select()
    .from(billingPeriods)
    .where(eq(billingPeriods.organizationId, organizationId))
    .orderBy(desc(billingPeriods.startsAt), desc(billingPeriods.number))
    .limit(limit)
}

export async function findOpenPeriod(tx: TenantTx, organizationId: string) {
  const [row] = await tx
    .select()
    .from(billingPeriods)
    .where(and(eq(billingPeriods.organizationId, organizationId), eq(billingPeriods.status, 'open')))
  return row
}
