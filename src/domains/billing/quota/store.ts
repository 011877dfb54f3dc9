import { and, desc, eq, inArray, notExists, sql } from 'drizzle-orm'
import { alias } from 'drizzle-orm/pg-core'
import type { SystemTx, TenantTx } from '../../../infra/postgres.ts'
import { quotaTransitions } from './tables.ts'

export type Transition = typeof quotaTransitions.$inferSelect

/** False when it has happened before. */
export async function insertTransition(tx: TenantTx, transition: Transition): Promise<boolean> {
  const inserted = await tx
    .insert(quotaTransitions)
    .values(transition)
    .onConflictDoNothing()
    .returning({ kind: quotaTransitions.kind })
  return inserted.length > 0
}

/** The last period whose events were refused or held and that nothing has ended yet. */
export async function findUnresumed(
  tx: TenantTx,
): Promise<Pick<Transition, 'periodStart' | 'periodId' | 'kind'> | undefined> {
  const resumed = alias(quotaTransitions, 'resumed')
  const own = and(
    eq(resumed.organizationId, quotaTransitions.organizationId),
    eq(resumed.periodStart, quotaTransitions.periodStart),
    eq(resumed.kind, 'resumed'),
  )
  const [last] = await tx
    .select({
      periodStart: quotaTransitions.periodStart,
      periodId: quotaTransitions.periodId,
      kind: quotaTransitions.kind,
    })
    .from(quotaTransitions)
    .where(
      and(
        inArray(quotaTransitions.kind, ['stopped', 'held']),
        notExists(tx.select({ kind: resumed.kind }).from(resumed).where(own)),
      ),
    )
    .orderBy(desc(quotaTransitions.periodStart))
    .limit(1)
  return last
}

// Organizations are another domain's table, of which only the ids are of interest here.
export async function organizationExists(tx: TenantTx, organizationId: string): Promise<boolean> {
  const { rows } = await tx.execute(sql`select 1 from organizations where id = ${organizationId}`)
  return rows.length > 0
}

/** Ids of organizations in their order, after one of them. */
export async function listOrganizationIds(tx: SystemTx, after: string, limit: number): Promise<string[]> {
  const { rows } = await tx.execute<{ id: string }>(
    sql`select id from organizations where id > ${after} order by id limit ${limit}`,
  )
  return rows.map(({ id }) => id)
}
