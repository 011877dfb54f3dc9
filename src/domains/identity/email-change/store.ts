import { eq } from 'drizzle-orm'
import type { SystemTx } from '../../../infra/postgres.ts'
import { users } from '../tables.ts'

/** Fails with 23505 where another account has the address. */
export async function replaceEmail(tx: SystemTx, userId: string, email: string): Promise<void> {
  await tx.update(users).set({ email }).where(eq(users.id, userId))
}
