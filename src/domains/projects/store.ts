import { and, asc, eq, gt, isNull, sql } from 'drizzle-orm'
import type { SystemTx, TenantTx } from '../../infra/postgres.ts'
import type { NewKey } from './schemas.ts'
import { apiKeys, projects } from './tables.ts'

export type KeyRow = typeof apiKeys.$inferSelect

export async function findProject(tx: SystemTx | TenantTx, projectId: string) {
  const [project] = await tx.select().from(projects).where(eq(projects.id, projectId))
  return project
}

/** The project as it is until the end of the transaction, unless that changes it. */
export async function lockProject(tx: TenantTx, projectId: string) {
  const [project] = await tx.select().from(projects).where(eq(projects.id, projectId)).for('no key update')
  return project
}

export type ProjectRow = typeof projects.$inferSelect

/** Projects of the organization in the order of creation; `after` is the id of the last project of the page before. */
export function listProjects(tx: TenantTx, page: { limit: number; after: string }): Promise<ProjectRow[]> {
  return tx.select().from(projects).where(gt(projects.id, page.after)).orderBy(asc(projects.id)).limit(page.limit)
}

/** Projects of the organization of the transaction. */
export const countProjects = (tx: TenantTx): Promise<number> => tx.$count(projects)

export async function insertProject(tx: TenantTx, project: typeof projects.$inferInsert): Promise<ProjectRow> {
  const [row] = await tx.insert(projects).values(project).returning()
  if (!row) throw new Error('the inserted project was not returned')
  return row
}

/** Changes what is given, and gives the project as it then is. */
export async function updateProject(
  tx: TenantTx,
  projectId: string,
  change: Partial<Pick<ProjectRow, 'name' | 'timeZone' | 'allowedOrigins' | 'ipPolicy' | 'retentionDays'>>,
): Promise<ProjectRow | undefined> {
  const again = change.retentionDays === undefined ? {} : { erasedAt: null }
  const [project] = await tx
    .update(projects)
    .set({ ...change, ...again })
    .where(eq(projects.id, projectId))
    .returning()
  return project
}

/**
 * A key that has not been revoked, with what its project says about the requests that it makes. Keys of an organization that is going to
 * be deleted are not found: whatever they send would go with it.
 */
export async function findKeyByHash(tx: SystemTx, hash: string) {
  const [found] = await tx
    .select({
      key: apiKeys,
      isFrozen: sql<boolean>`organizations.frozen_at is not null`,
      frozenReason: sql<string | null>`organizations.frozen_reason`,
      settings: { allowedOrigins: projects.allowedOrigins, ipPolicy: projects.ipPolicy },
    })
    .from(apiKeys)
    .innerJoin(projects, and(eq(projects.organizationId, apiKeys.organizationId), eq(projects.id, apiKeys.projectId)))
    // Organizations are another domain's table; whether one is frozen comes with the key, so that asking costs nothing more.
    .innerJoin(
      sql`organizations`,
      sql`organizations.id = ${apiKeys.organizationId} and organizations.deletes_at is null`,
    )
    .where(and(eq(apiKeys.hash, hash), isNull(apiKeys.revokedAt)))
  return found
}

/** Live keys of a project in the order of creation; `after` is the id of the last key of the page before. */
export function listKeys(tx: TenantTx, projectId: string, page: { limit: number; after: string }): Promise<KeyRow[]> {
  return tx
    .select()
    .from(apiKeys)
    .where(and(eq(apiKeys.projectId, projectId), isNull(apiKeys.revokedAt), gt(apiKeys.id, page.after)))
    .orderBy(asc(apiKeys.id))
    .limit(page.limit)
}

interface KeyToInsert extends Pick<NewKey, 'name' | 'kind'> {
  id: string
  organizationId: string
  projectId: string
  hash: string
  hint: string
  scopes: string[]
  allowedIps: string[]
  requestsPerMinute: number | null
  expiresAt: Date | null
}

export async function insertKey(tx: TenantTx | SystemTx, key: KeyToInsert): Promise<KeyRow> {
  const [row] = await tx.insert(apiKeys).values(key).returning()
  if (!row) throw new Error('the inserted key was not returned')
  return row
}

/** A key that has not been revoked; it may have expired. */
export async function findKey(tx: TenantTx, projectId: string, keyId: string): Promise<KeyRow | undefined> {
  const [row] = await tx.select().from(apiKeys).where(unrevoked(projectId, keyId))
  return row
}

/** The same as it is until the end of the transaction, unless that changes it. */
export async function lockKey(tx: TenantTx, projectId: string, keyId: string): Promise<KeyRow | undefined> {
  const [row] = await tx.select().from(apiKeys).where(unrevoked(projectId, keyId)).for('no key update')
  return row
}

const unrevoked = (projectId: string, keyId: string) =>
  and(eq(apiKeys.projectId, projectId), eq(apiKeys.id, keyId), isNull(apiKeys.revokedAt))

/** Changes what is given of a key that is locked, and gives it as it then is. */
export async function updateKey(
  tx: TenantTx,
  keyId: string,
  change: Partial<Pick<KeyRow, 'name' | 'allowedIps' | 'requestsPerMinute' | 'expiresAt' | 'revokedAt'>>,
): Promise<KeyRow> {
  const [row] = await tx.update(apiKeys).set(change).where(eq(apiKeys.id, keyId)).returning()
  if (!row) throw new Error('the changed key was not returned')
  return row
}

export async function revokeKey(tx: TenantTx, projectId: string, keyId: string): Promise<KeyRow | undefined> {
  const [row] = await tx.update(apiKeys).set({ revokedAt: new Date() }).where(unrevoked(projectId, keyId)).returning()
  return row
}
