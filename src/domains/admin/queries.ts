import { type SQL, sql } from 'drizzle-orm'
import type { SystemTx } from '../../infra/postgres.ts'

/** Names without a column type of their own arrive as the driver gives them: counts as text. */
export interface OverviewRow extends Record<string, unknown> {
  id: string
  name: string
  createdAt: Date
  frozenAt: Date | null
  frozenReason: string | null
  members: string
  projects: string
  eventsThisMonth: string
}

// The tables are other domains', of whose rows only counts are taken.
const overview = (narrow: SQL) => sql`
  select o.id, o.name, o.created_at as "createdAt", o.frozen_at as "frozenAt", o.frozen_reason as "frozenReason",
    (select count(*) from memberships m where m.organization_id = o.id) as members,
    (select count(*) from projects p where p.organization_id = o.id) as projects,
    (select coalesce(sum(w.events), 0) from usage_windows w
      where w.organization_id = o.id and w.window_start >= date_trunc('month', now(), 'UTC')
        and w.window_start < date_trunc('month', now(), 'UTC') + interval '1 month') as "eventsThisMonth"
  from organizations o ${narrow}`

/** Organizations in the order of their ids, which is that of their making; `name` is a part of the name in any letter case. */
export async function listOrganizations(
  tx: SystemTx,
  { name, after, limit }: { name: string; after: string; limit: number },
): Promise<OverviewRow[]> {
  const narrow = sql`where o.id > ${after} and strpos(lower(o.name), lower(${name})) > 0 order by o.id limit ${limit}`
  return (await tx.execute<OverviewRow>(overview(narrow))).rows
}

export async function findOrganization(tx: SystemTx, id: string): Promise<OverviewRow | undefined> {
  return (await tx.execute<OverviewRow>(overview(sql`where o.id = ${id}`))).rows[0]
}
