import { and, count, eq, gt, lt, sql } from 'drizzle-orm'
import type { SystemTx } from '../../../infra/postgres.ts'
import { mailboxProofs, users } from '../tables.ts'

export type ProofRow = typeof mailboxProofs.$inferSelect
type Purpose = ProofRow['purpose']

export async function insertProof(tx: SystemTx, proof: typeof mailboxProofs.$inferInsert): Promise<void> {
  await tx.insert(mailboxProofs).values(proof)
}

export async function findProof(tx: SystemTx, id: string): Promise<ProofRow | undefined> {
  const [proof] = await tx.select().from(mailboxProofs).where(eq(mailboxProofs.id, id))
  return proof
}

const withToken = (purpose: Purpose, tokenHash: string) =>
  and(
    eq(mailboxProofs.tokenHash, tokenHash),
    eq(mailboxProofs.purpose, purpose),
    gt(mailboxProofs.expiresAt, sql`now()`),
  )

/** Looks at a proof without using it up. */
export async function findProofByToken(
  tx: SystemTx,
  purpose: Purpose,
  tokenHash: string,
): Promise<ProofRow | undefined> {
  const [proof] = await tx.select().from(mailboxProofs).where(withToken(purpose, tokenHash))
  return proof
}

/** Uses a proof up: of many who try at once one gets it. */
export async function takeProof(tx: SystemTx, purpose: Purpose, tokenHash: string): Promise<ProofRow | undefined> {
  const [proof] = await tx.delete(mailboxProofs).where(withToken(purpose, tokenHash)).returning()
  return proof
}

export async function deleteProof(tx: SystemTx, id: string): Promise<void> {
  await tx.delete(mailboxProofs).where(eq(mailboxProofs.id, id))
}

export async function deleteProofsOf(tx: SystemTx, purpose: Purpose, email: string): Promise<void> {
  const ofAddress = sql`lower(${mailboxProofs.email}) = lower(${email})`
  await tx.delete(mailboxProofs).where(and(ofAddress, eq(mailboxProofs.purpose, purpose)))
}

/** The links that would change the address of a person. */
export async function deleteProofsOfUser(tx: SystemTx, userId: string): Promise<void> {
  await tx.delete(mailboxProofs).where(eq(mailboxProofs.userId, userId))
}

/** How many links were asked for the same address before this one, since a time. */
export async function countProofsBefore(tx: SystemTx, { id, email }: ProofRow, since: Date): Promise<number> {
  const ofAddress = sql`lower(${mailboxProofs.email}) = lower(${email})`
  const [row] = await tx
    .select({ count: count() })
    .from(mailboxProofs)
    .where(and(ofAddress, lt(mailboxProofs.id, id), gt(mailboxProofs.createdAt, since)))
  return row?.count ?? 0
}

export async function pruneProofs(tx: SystemTx): Promise<void> {
  await tx.delete(mailboxProofs).where(lt(mailboxProofs.expiresAt, sql`now()`))
}

/** Adds a person, unless the address has an account; says whether it did. */
export async function insertUser(tx: SystemTx, user: typeof users.$inferInsert): Promise<boolean> {
  const { rowCount } = await tx.insert(users).values(user).onConflictDoNothing()
  return rowCount === 1
}

export async function replacePasswordHash(tx: SystemTx, userId: string, passwordHash: string): Promise<void> {
  await tx.update(users).set({ passwordHash }).where(eq(users.id, userId))
}
