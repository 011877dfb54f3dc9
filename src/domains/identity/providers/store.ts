import { and, asc, eq } from 'drizzle-orm'
import type { SystemTx } from '../../../infra/postgres.ts'
import { userIdentities, users } from '../tables.ts'

export type IdentityRow = typeof userIdentities.$inferSelect

export async function findIdentity(
  tx: SystemTx,
  providerId: string,
  subject: string,
): Promise<IdentityRow | undefined> {
  const [identity] = await tx
    .select()
    .from(userIdentities)
    .where(and(eq(userIdentities.providerId, providerId), eq(userIdentities.subject, subject)))
  return identity
}

/** Links an identity, unless it or another one of its provider is linked already; says whether it did. */
export async function insertIdentity(tx: SystemTx, identity: typeof userIdentities.$inferInsert): Promise<boolean> {
  const { rowCount } = await tx.insert(userIdentities).values(identity).onConflictDoNothing()
  return rowCount === 1
}

export function listIdentities(tx: SystemTx, userId: string): Promise<IdentityRow[]> {
  return tx.select().from(userIdentities).where(eq(userIdentities.userId, userId)).orderBy(asc(userIdentities.id))
}

export async function deleteIdentity(tx: SystemTx, id: string): Promise<void> {
  await tx.delete(userIdentities).where(eq(userIdentities.id, id))
}

/** The password hash of a person, whose row is held: of two who use or change the ways into an account one waits. */
export async function holdPasswordHash(tx: SystemTx, userId: string): Promise<string | undefined> {
  const [user] = await tx
    .select({ passwordHash: users.passwordHash })
    .from(users)
    .where(eq(users.id, userId))
    .for('no key update')
  return user?.passwordHash
}
