import { and, eq, isNotNull, isNull, lt, or, sql } from 'drizzle-orm'
import type { ProjectScope } from '../../../http/access.ts'
import type { SystemTx, TenantTx } from '../../../infra/postgres.ts'
import { projects } from '../tables.ts'

export interface Kept extends ProjectScope {
  retentionDays: number | null
}

/** Projects that have not erased today what is older than is kept, the ones that waited longest first. */
export function listDue(tx: SystemTx, todayMs: number, limit: number) {
  const today = new Date(todayMs).toISOString()
  return tx
    .select({ organizationId: projects.organizationId, projectId: projects.id, retentionDays: projects.retentionDays })
    .from(projects)
    .where(or(isNull(projects.erasedAt), lt(projects.erasedAt, sql`${today}::timestamptz`)))
    .orderBy(sql`${projects.erasedAt} nulls first`, projects.id)
    .limit(limit)
}

/** Writes down that nothing before a midnight is to be counted any more, while the project keeps events for so many days. */
export async function keepFrom(tx: TenantTx, kept: Kept, fromMs: number): Promise<boolean> {
  const from = new Date(fromMs).toISOString()
  const { rowCount } = await tx
    .update(projects)
    .set({ eventsKeptFrom: sql`greatest(${projects.eventsKeptFrom}, ${from}::timestamptz)` })
    .where(isKept(kept))
  return rowCount === 1
}

/** Writes down that it is erased, unless somebody has changed meanwhile how long the project keeps events. */
export async function markErased(tx: TenantTx, kept: Kept): Promise<void> {
  await tx.update(projects).set({ erasedAt: sql`now()` }).where(isKept(kept))
}

const isKept = ({ organizationId, projectId, retentionDays }: Kept) =>
  and(
    eq(projects.organizationId, organizationId),
    eq(projects.id, projectId),
    retentionDays === null ? isNull(projects.retentionDays) : eq(projects.retentionDays, retentionDays),
  )

/** From when on each project of the organization that has erased events has all of them. */
export async function listKeptFrom(tx: TenantTx): Promise<{ projectId: string; keptFrom: Date | null }[]> {
  return tx
    .select({ projectId: projects.id, keptFrom: projects.eventsKeptFrom })
    .from(projects)
    .where(isNotNull(projects.eventsKeptFrom))
}
