import { and, asc, desc, eq, gt, sql } from 'drizzle-orm'
import type { SystemTx, TenantTx } from '../../../infra/postgres.ts'
import { usageProofs } from './tables.ts'

export type ProofRow = typeof usageProofs.$inferSelect

export async function lastProof(tx: TenantTx): Promise<ProofRow | undefined> {
  const [row] = await tx.select().from(usageProofs).orderBy(desc(usageProofs.day)).limit(1)
  return row
}

export async function findProof(tx: TenantTx, day: string): Promise<ProofRow | undefined> {
  const [row] = await tx.select().from(usageProofs).where(eq(usageProofs.day, day))
  return row
}

/** The oldest first, as the chain goes. */
export function listProofs(tx: TenantTx, { after, limit }: { after: string | undefined; limit: number }) {
  const later = after === undefined ? undefined : gt(usageProofs.day, after)
  return tx.select().from(usageProofs).where(and(later)).orderBy(asc(usageProofs.day)).limit(limit)
}

/** Resolves to whether nobody has proved the day, or continued the chain from there. */
export async function insertProof(tx: TenantTx, row: ProofRow): Promise<boolean> {
  const rows = await tx.insert(usageProofs).values(row).onConflictDoNothing().returning({ day: usageProofs.day })
  return rows.length > 0
}

/** Days with events that have no proof and no proof after them, in the order in which they are to be proved. */
export async function listUnproved(
  tx: SystemTx,
  { fromDay, beforeDay }: { fromDay: string; beforeDay: string },
): Promise<{ organizationId: string; day: string }[]> {
  const { rows } = await tx.execute<{ organizationId: string; day: string }>(sql`
    select w.organization_id as "organizationId", w.day::text as day
    from (
      select distinct organization_id, (window_start at time zone 'UTC')::date as day from usage_windows
      where events > 0 and window_start >= ${fromDay}::timestamp at time zone 'UTC'
        and window_start < ${beforeDay}::timestamp at time zone 'UTC'
    ) w
    join organizations o on o.id = w.organization_id
    where not exists (select from usage_proofs p where p.organization_id = w.organization_id and p.day >= w.day)
    order by w.organization_id, w.day`)
  return rows
}
