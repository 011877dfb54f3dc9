import { and, asc, desc, eq } from 'drizzle-orm'
import type { SystemTx, TenantTx } from '../../../infra/postgres.ts'
import { customPlanVersions, plans, planVersions } from '../tables.ts'
import type { Plan, PlanTerms } from './schemas.ts'

interface VersionRow {
  planKey: string
  version: number
  terms: Record<string, unknown>
}

/** Terms are checked before they are stored and never change afterwards. */
const toPlan = ({ planKey, version, terms }: VersionRow): Plan => ({
  ...(terms as PlanTerms),
  key: planKey,
  version,
})

/** The newest version of every plan that is offered, in the order in which they are shown. */
export async function listOffered(tx: SystemTx): Promise<Plan[]> {
  const newest = tx
    .selectDistinctOn([planVersions.planKey])
    .from(planVersions)
    .orderBy(planVersions.planKey, desc(planVersions.version))
    .as('newest')
  const rows = await tx
    .select({ planKey: newest.planKey, version: newest.version, terms: newest.terms })
    .from(plans)
    .innerJoin(newest, eq(newest.planKey, plans.key))
    .where(eq(plans.offered, true))
    .orderBy(asc(plans.position), asc(plans.key))
  return rows.map(toPlan)
}

/** A version of a public plan, the newest where none is named; also of one that is offered no longer. */
export async function findVersion(tx: SystemTx, planKey: string, version?: number): Promise<Plan | undefined> {
  const named = version === undefined ? undefined : eq(planVersions.version, version)
  const [row] = await tx
    .select()
    .from(planVersions)
    .where(and(eq(planVersions.planKey, planKey), named))
    .orderBy(desc(planVersions.version))
    .limit(1)
  return row && toPlan(row)
}

/** The same of the plans agreed with the organization of the transaction. */
export async function findCustomVersion(tx: TenantTx, planKey: string, version?: number): Promise<Plan | undefined> {
  const named = version === undefined ? undefined : eq(customPlanVersions.version, version)
  const [row] = await tx
    .select()
    .from(customPlanVersions)
    .where(and(eq(customPlanVersions.planKey, planKey), named))
    .orderBy(desc(customPlanVersions.version))
    .limit(1)
  return row && toPlan(row)
}

/** A plan that has no row yet begins unoffered. */
export async function ensurePlan(tx: SystemTx, key: string): Promise<void> {
  await tx.insert(plans).values({ key, offered: false }).onConflictDoNothing()
}

/** Resolves to whether there is such a plan. */
export async function setOffered(tx: SystemTx, key: string, offered: boolean): Promise<boolean> {
  const rows = await tx.update(plans).set({ offered }).where(eq(plans.key, key)).returning({ key: plans.key })
  return rows.length > 0
}

/** Resolves to whether the number of the version was still free. */
export async function insertVersion(tx: SystemTx, row: typeof planVersions.$inferInsert): Promise<boolean> {
  const rows = await tx.insert(planVersions).values(row).onConflictDoNothing().returning({ key: planVersions.planKey })
  return rows.length > 0
}

export async function insertCustomVersion(tx: TenantTx, row: typeof customPlanVersions.$inferInsert): Promise<boolean> {
  const rows = await tx
    .insert(customPlanVersions)
    .values(row)
    .onConflictDoNothing()
    .returning({ key: customPlanVersions.planKey })
  return rows.length > 0
}
