import { eq, inArray, sql } from 'drizzle-orm'
import type { SystemTx } from '../../../infra/postgres.ts'
import { mailboxProofs, refreshTokens, sessions, users } from '../tables.ts'

/** A person, whom nothing can be joined to until the transaction is over. */
export async function lockUser(tx: SystemTx, id: string) {
  const [user] = await tx.select().from(users).where(eq(users.id, id)).for('update')
  return user
}

export async function deleteRefreshTokens(tx: SystemTx, userId: string): Promise<void> {
  const own = tx.select({ id: sessions.id }).from(sessions).where(eq(sessions.userId, userId))
  await tx.delete(refreshTokens).where(inArray(refreshTokens.sessionId, own))
}

/** With their sessions, and the links that were mailed to their address. */
export async function deleteUser(tx: SystemTx, { id, email }: { id: string; email: string }): Promise<void> {
  await tx.delete(mailboxProofs).where(sql`lower(${mailboxProofs.email}) = lower(${email})`)
  await tx.delete(users).where(eq(users.id, id))
}
