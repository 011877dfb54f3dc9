import { and, asc, eq, gt, isNotNull, lte, sql } from 'drizzle-orm'
import type { SystemTx, TenantTx } from '../../../infra/postgres.ts'
import { memberships, organizations } from '../tables.ts'

/** Sets when an organization is deleted, or that it is not. */
export async function writeDeletesAt(
  tx: TenantTx,
  id: string,
  deletesAt: Date | null,
): Promise<typeof organizations.$inferSelect | undefined> {
  const [row] = await tx.update(organizations).set({ deletesAt }).where(eq(organizations.id, id)).returning()
  return row
}

/** Whether a deletion was asked for that has not begun: from then on there is no way back. */
export async function isWithinGrace(tx: TenantTx, id: string): Promise<boolean> {
  const within = and(isNotNull(organizations.deletesAt), gt(organizations.deletesAt, sql`now()`))
  const rows = await tx
    .select({ id: organizations.id })
    .from(organizations)
    .where(and(eq(organizations.id, id), within))
  return rows.length > 0
}

const isDue = lte(organizations.deletesAt, sql`now()`)

/** Organizations whose grace is over, the longest overdue first. */
export async function listDue(tx: SystemTx, limit: number): Promise<string[]> {
  const due = tx.select({ id: organizations.id }).from(organizations).where(isDue)
  return (await due.orderBy(asc(organizations.deletesAt)).limit(limit)).map(({ id }) => id)
}

/** Deletes an organization that is due, and by the foreign keys all that is its own; gives who belonged to it, or nothing if it is gone. */
export async function deleteDue(tx: SystemTx, id: string): Promise<string[] | undefined> {
  // Years of entries are in it, which takes longer than a request may.
  await tx.execute(sql`select set_config('statement_timeout', '600s', true)`)
  const members = await tx
    .select({ userId: memberships.userId })
    .from(memberships)
    .where(eq(memberships.organizationId, id))
  const { rowCount } = await tx.delete(organizations).where(and(eq(organizations.id, id), isDue))
  return rowCount === 1 ? members.map(({ userId }) => userId) : undefined
}
