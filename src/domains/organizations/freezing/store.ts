import { eq } from 'drizzle-orm'
import type { TenantTx } from '../../../infra/postgres.ts'
import { organizations } from '../tables.ts'

/** The organization of the transaction as it is until the end of it, unless that changes it. */
export async function lockFreeze(tx: TenantTx, id: string) {
  const [organization] = await tx
    .select({ frozenAt: organizations.frozenAt, frozenReason: organizations.frozenReason })
    .from(organizations)
    .where(eq(organizations.id, id))
    .for('no key update')
  return organization
}

export async function writeFreeze(
  tx: TenantTx,
  id: string,
  freeze: { frozenAt: Date | null; frozenReason: string | null },
): Promise<void> {
  await tx.update(organizations).set(freeze).where(eq(organizations.id, id))
}
