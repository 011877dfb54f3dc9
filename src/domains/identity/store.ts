import { and, eq, sql } from 'drizzle-orm'
import type { SystemTx } from '../../infra/postgres.ts'
import { users } from './tables.ts'

export async function findUserByEmail(tx: SystemTx, email: string) {
  const [user] = await tx.select().from(users).where(sql`lower(${users.email}) = lower(${email})`)
  return user
}

export async function findUser(tx: SystemTx, id: string) {
  const [user] = await tx
    .select({ id: users.id, email: users.email, name: users.name, createdAt: users.createdAt })
    .from(users)
    .where(eq(users.id, id))
  return user
}

export async function findUserWithPassword(tx: SystemTx, id: string) {
  const [user] = await tx.select().from(users).where(eq(users.id, id))
  return user
}

/** Replaces a password hash if it is still the one that is given; says whether it was. */
export async function writePasswordHash(
  tx: SystemTx,
  id: string,
  passwordHash: string,
  before: string | undefined,
): Promise<boolean> {
  const { rowCount } = await tx
    .update(users)
    .set({ passwordHash })
    .where(and(eq(users.id, id), eq(users.passwordHash, before ?? '')))
  return rowCount === 1
}
