import { eq } from 'drizzle-orm'
import type { TenantTx } from '../../../infra/postgres.ts'
import { billingAccounts } from './tables.ts'

export type AccountRow = typeof billingAccounts.$inferSelect

/** The account as it is until the end of the transaction, unless that changes it. */
export async function lockAccount(tx: TenantTx, organizationId: string): Promise<AccountRow | undefined> {
  const [row] = await tx
    .select()
    .from(billingAccounts)
    .where(eq(billingAccounts.organizationId, organizationId))
    .for('no key update')
  return row
}

export async function findAccount(tx: TenantTx, organizationId: string): Promise<AccountRow | undefined> {
  const [row] = await tx.select().from(billingAccounts).where(eq(billingAccounts.organizationId, organizationId))
  return row
}

type Change = Partial<Omit<typeof billingAccounts.$inferInsert, 'organizationId'>>

export async function updateAccount(
  tx: TenantTx,
  organizationId: string,
  change: Change,
): Promise<AccountRow | undefined> {
  const [row] = await tx
    .update(billingAccounts)
    .set(change)
    .where(eq(billingAccounts.organizationId, organizationId))
    .returning()
  return row
}
