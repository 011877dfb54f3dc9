import { eq, sql } from 'drizzle-orm'
import type { SystemTx } from '../../../infra/postgres.ts'
import { users } from '../tables.ts'

export async function findIsOperator(tx: SystemTx, userId: string): Promise<boolean> {
  const [user] = await tx.select({ isOperator: users.isOperator }).from(users).where(eq(users.id, userId))
  return user?.isOperator ?? false
}

/** Gives the id of the account with the address; undefined when there is none. */
export async function writeIsOperator(
  tx: SystemTx,
  email: string,
  change: { isOperator: boolean; operatorReason: string },
): Promise<string | undefined> {
  const [user] = await tx
    .update(users)
    .set({ ...change, operatorChangedAt: sql`now()` })
    .where(eq(sql`lower(${users.email})`, email.toLowerCase()))
    .returning({ id: users.id })
  return user?.id
}
