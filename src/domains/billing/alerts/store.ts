import { and, asc, count, eq } from 'drizzle-orm'
import type { TenantTx } from '../../../infra/postgres.ts'
import { billingAccounts } from '../accounts/tables.ts'
import { usageAlertFirings, usageAlerts } from './tables.ts'

export type AlertRow = typeof usageAlerts.$inferSelect
export type FiringRow = typeof usageAlertFirings.$inferSelect

/** In the order in which they were made. */
export const listAlerts = (tx: TenantTx): Promise<AlertRow[]> =>
  tx.select().from(usageAlerts).orderBy(asc(usageAlerts.id))

export async function countAlerts(tx: TenantTx): Promise<number> {
  const [row] = await tx.select({ count: count() }).from(usageAlerts)
  return row?.count ?? 0
}

/** False where there is one with the same threshold. */
export async function insertAlert(tx: TenantTx, row: AlertRow): Promise<boolean> {
  const rows = await tx.insert(usageAlerts).values(row).onConflictDoNothing().returning({ id: usageAlerts.id })
  return rows.length > 0
}

export async function deleteAlert(tx: TenantTx, organizationId: string, id: string): Promise<AlertRow | undefined> {
  const isIt = and(eq(usageAlerts.organizationId, organizationId), eq(usageAlerts.id, id))
  const [row] = await tx.delete(usageAlerts).where(isIt).returning()
  return row
}

export const listFirings = (tx: TenantTx, periodId: string): Promise<FiringRow[]> =>
  tx.select().from(usageAlertFirings).where(eq(usageAlertFirings.periodId, periodId))

/** Gives those that nobody has written before. */
export async function insertFirings(tx: TenantTx, rows: FiringRow[]): Promise<FiringRow[]> {
  return rows.length === 0 ? [] : tx.insert(usageAlertFirings).values(rows).onConflictDoNothing().returning()
}

/** Where bills go beside the owners. */
export async function findBillingEmail(tx: TenantTx): Promise<string | null> {
  const [account] = await tx.select({ email: billingAccounts.email }).from(billingAccounts)
  return account?.email ?? null
}
