import { and, desc, eq, lt, lte, ne, sql } from 'drizzle-orm'
import type { TenantTx } from '../../infra/postgres.ts'
import { trackingPlanSchemas as schemas, trackingPlanVersions as versions } from './tables.ts'

export type VersionRow = typeof versions.$inferSelect
export type SchemaRow = typeof schemas.$inferSelect & { schema: Record<string, unknown> }

/** The newest version of a plan, or the one of that number; undefined for a project that has none. */
export async function findVersion(tx: TenantTx, projectId: string, version?: number): Promise<VersionRow | undefined> {
  const [row] = await tx
    .select()
    .from(versions)
    .where(and(eq(versions.projectId, projectId), version === undefined ? undefined : eq(versions.version, version)))
    .orderBy(desc(versions.version))
    .limit(1)
  return row
}

/** Versions newest first; `before` is the last version of the page before. */
export function listVersions(tx: TenantTx, projectId: string, page: { limit: number; before: number | undefined }) {
  return tx
    .select()
    .from(versions)
    .where(
      and(eq(versions.projectId, projectId), page.before === undefined ? undefined : lt(versions.version, page.before)),
    )
    .orderBy(desc(versions.version))
    .limit(page.limit)
}

/** For each event the row that holds at a version, those among them that take the event out of the plan included. */
function rowsAt(tx: TenantTx, projectId: string, version: number) {
  return tx
    .selectDistinctOn([schemas.event])
    .from(schemas)
    .where(and(eq(schemas.projectId, projectId), lte(schemas.version, version)))
    .orderBy(schemas.event, desc(schemas.version))
    .as('latest')
}

/** The schemas of a plan at a version, by name of the event. */
export async function listSchemas(tx: TenantTx, projectId: string, version: number): Promise<SchemaRow[]> {
  const rows = await tx.select().from(rowsAt(tx, projectId, version))
  return rows.filter((row): row is SchemaRow => row.schema !== null)
}

/** The events of a plan at a version with who changed each of them last and when; without their schemas. */
export function listEvents(tx: TenantTx, projectId: string, version: number) {
  const latest = rowsAt(tx, projectId, version)
  return tx
    .select({
      event: latest.event,
      version: latest.version,
      changedBy: versions.changedBy,
      changedAt: versions.createdAt,
    })
    .from(latest)
    .innerJoin(versions, and(eq(versions.projectId, latest.projectId), eq(versions.version, latest.version)))
    .where(sql`${latest.schema} is not null`)
    .orderBy(latest.event)
}

/** The row of one event that holds at a version. */
export async function findSchema(tx: TenantTx, projectId: string, event: string, version: number) {
  const [row] = await tx
    .select()
    .from(schemas)
    .where(and(eq(schemas.projectId, projectId), eq(schemas.event, event), lte(schemas.version, version)))
    .orderBy(desc(schemas.version))
    .limit(1)
  return row
}

/** How many other events a plan has at a version, and how many bytes of schemas. */
export async function measureOthers(tx: TenantTx, projectId: string, event: string, version: number) {
  const latest = rowsAt(tx, projectId, version)
  const [row] = await tx
    .select({
      events: sql<number>`count(*)::int`,
      bytes: sql<number>`coalesce(sum(octet_length(${latest.schema}::text)), 0)::int`,
    })
    .from(latest)
    .where(and(sql`${latest.schema} is not null`, ne(latest.event, event)))
  return row ?? { events: 0, bytes: 0 }
}

/** Adds a version with what it changed. Two at once meet in the primary key: the second fails with 23505. */
export async function insertVersion(
  tx: TenantTx,
  version: typeof versions.$inferInsert,
  changes: { event: string; schema: Record<string, unknown> | null }[],
): Promise<VersionRow> {
  const [row] = await tx.insert(versions).values(version).returning()
  if (!row) throw new Error('the inserted version was not returned')
  const { organizationId, projectId } = version
  const rows = changes.map((change) => ({ organizationId, projectId, version: version.version, ...change }))
  if (rows.length > 0) await tx.insert(schemas).values(rows)
  return row
}
