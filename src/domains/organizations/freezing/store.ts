import { eq } from 'drizzle-orm'
import type { SystemTx } from '../../../infra/postgres.ts'
import { organizations } from '../tables.ts'

/** An organization as it is until the end of the transaction, unless that changes it. */
export async function lockFreeze(tx: SystemTx, id: string) {
  const [organization] = await tx
    .select({ frozenAt: organizations.frozenAt, frozenReason: organizations.frozenReason })
    .from(organizations)
    .where(eq(organizations.id, id))
    .for('no key update')
  return organization
}

export async function writeFreeze(
  tx: SystemTx,
  id: string,
  freeze: { frozenAt: Date | null; frozenReason: string | null },
): Promise<void> {
  await tx.update(organizations).set(freeze).where(eq(organizations.id, id))
}
