import { and, eq, inArray, isNull, lt, sql } from 'drizzle-orm'
import type { SystemTx } from '../../../infra/postgres.ts'
import { recoveryCodes, secondFactors } from '../tables.ts'

export async function findSecondFactor(tx: SystemTx, userId: string) {
  const [factor] = await tx.select().from(secondFactors).where(eq(secondFactors.userId, userId))
  return factor
}

/** Begins an enrolment, in the place of one that was not confirmed; says whether there was none that was. */
export async function putPending(tx: SystemTx, userId: string, sealedSecret: string): Promise<boolean> {
  const { rowCount } = await tx
    .insert(secondFactors)
    .values({ userId, sealedSecret })
    .onConflictDoUpdate({
      target: secondFactors.userId,
      set: { sealedSecret, createdAt: sql`now()` },
      setWhere: isNull(secondFactors.confirmedAt),
    })
  return rowCount === 1
}

/** Uses a time step of one secret up: of many who try at once one gets it. */
export async function takeStep(
  tx: SystemTx,
  userId: string,
  step: number,
  { before, sealedSecret }: { before: string; sealedSecret: string },
): Promise<boolean> {
  const { rowCount } = await tx
    .update(secondFactors)
    .set({ lastStep: step, sealedSecret, confirmedAt: sql`coalesce(${secondFactors.confirmedAt}, now())` })
    .where(
      and(eq(secondFactors.userId, userId), eq(secondFactors.sealedSecret, before), lt(secondFactors.lastStep, step)),
    )
  return rowCount === 1
}

export async function deleteSecondFactor(tx: SystemTx, userId: string): Promise<void> {
  await tx.delete(secondFactors).where(eq(secondFactors.userId, userId))
  await tx.delete(recoveryCodes).where(eq(recoveryCodes.userId, userId))
}

export async function replaceRecoveryCodes(tx: SystemTx, userId: string, hashes: string[]): Promise<void> {
  await tx.delete(recoveryCodes).where(eq(recoveryCodes.userId, userId))
  await tx.insert(recoveryCodes).values(hashes.map((hash) => ({ hash, userId })))
}

/** Uses a recovery code up: of many who try at once one gets it. */
export async function takeRecoveryCode(tx: SystemTx, userId: string, hashes: string[]): Promise<boolean> {
  const { rowCount } = await tx
    .delete(recoveryCodes)
    .where(and(eq(recoveryCodes.userId, userId), inArray(recoveryCodes.hash, hashes)))
  return rowCount === 1
}

/** Deletes enrolments that no first code has confirmed for so long. */
export async function prunePending(tx: SystemTx, before: Date): Promise<void> {
  await tx.delete(secondFactors).where(and(isNull(secondFactors.confirmedAt), lt(secondFactors.createdAt, before)))
}
