import { and, asc, desc, eq, gt, gte, lt, sql } from 'drizzle-orm'
import type { SystemTx, TenantTx } from '../../infra/postgres.ts'
import { auditEntries as entries } from './tables.ts'

export type EntryRow = typeof entries.$inferSelect

/** Lets one transaction at a time add to an organization's chain, until it ends; the others wait for it. */
export async function lockChain(tx: TenantTx | SystemTx, organizationId: string): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${`meterhouse audit ${organizationId}`}, 0))`)
}

/** The last entry and the time, by the one clock that all processes share. Only of use once the chain is locked. */
export async function readHead(tx: TenantTx | SystemTx, organizationId: string) {
  const { rows } = await tx.execute<{ now_ms: number }>(
    sql`select floor(extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms`,
  )
  const [last] = await tx
    .select({ sequence: entries.sequence, hash: entries.hash })
    .from(entries)
    .where(eq(entries.organizationId, organizationId))
    .orderBy(desc(entries.sequence))
    .limit(1)
  return { last, at: new Date(rows[0]?.now_ms ?? Date.now()) }
}

/** What a key or a person is called at the moment. An organization does not learn who operates the platform. */
export async function findActorName(
  tx: TenantTx | SystemTx,
  organizationId: string,
  actor: Pick<EntryRow, 'actorKind' | 'actorId'>,
): Promise<string | null> {
  if (actor.actorKind === 'operator') return null
  const named =
    actor.actorKind === 'key'
      ? sql`select name from api_keys where organization_id = ${organizationId} and id = ${actor.actorId}`
      : sql`select name from users where id = ${actor.actorId}`
  return (await tx.execute<{ name: string }>(named)).rows[0]?.name ?? null
}

export async function insertEntry(tx: TenantTx | SystemTx, entry: EntryRow): Promise<void> {
  await tx.insert(entries).values(entry)
}

/** Which entries are meant; what is absent does not narrow. */
export interface Search {
  projectId?: string | undefined
  action?: string | undefined
  actorId?: string | undefined
  from?: Date | undefined
  /** Exclusive. */
  to?: Date | undefined
}

/** Entries newest first; `before` is the sequence of the last one of the page before. */
export function listEntries(
  tx: TenantTx,
  search: Search,
  page: { limit: number; before: number | undefined },
): Promise<EntryRow[]> {
  const { projectId, action, actorId, from, to } = search
  return tx
    .select()
    .from(entries)
    .where(
      and(
        projectId === undefined ? undefined : eq(entries.projectId, projectId),
        action === undefined ? undefined : eq(entries.action, action),
        actorId === undefined ? undefined : eq(entries.actorId, actorId),
        from === undefined ? undefined : gte(entries.at, from),
        to === undefined ? undefined : lt(entries.at, to),
        page.before === undefined ? undefined : lt(entries.sequence, page.before),
      ),
    )
    .orderBy(desc(entries.sequence))
    .limit(page.limit)
}

/** The entries that follow one, in the order of the chain. */
export function listChain(tx: TenantTx, after: number, limit: number): Promise<EntryRow[]> {
  return tx.select().from(entries).where(gt(entries.sequence, after)).orderBy(asc(entries.sequence)).limit(limit)
}
