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
  /** Null for an organization that is older than subscriptions and was not asked about yet. */
  status: SubscriptionStatus | null
  planKey: string | null
  planVersion: number | null
  isCustom: boolean | null
  periodStartsAt: Date | null
  periodEndsAt: Date | null
  eventsThisPeriod: string | null
  /** What happened to the quota of the period last. */
  quota: QuotaState | null
  unpaidInvoices: string
  overdueInvoices: string
  lastEventHour: Date | null
}

type SubscriptionStatus = 'trialing' | 'active' | 'paused'
type QuotaState = 'reached' | 'stopped' | 'held' | 'resumed'

// The tables are other domains', of whose rows only counts and states are taken.
const overview = (narrow: SQL) => sql`
  select o.id, o.name, o.created_at as "createdAt", o.frozen_at as "frozenAt", o.frozen_reason as "frozenReason",
    (select count(*) from memberships m where m.organization_id = o.id) as members,
    (select count(*) from projects p where p.organization_id = o.id) as projects,
    (select coalesce(sum(w.events), 0) from usage_windows w
      where w.organization_id = o.id and w.window_start >= date_trunc('month', now(), 'UTC')
        and w.window_start < date_trunc('month', now(), 'UTC') + interval '1 month') as "eventsThisMonth",
    s.status, s.plan_key as "planKey", s.plan_version as "planVersion", s.is_custom as "isCustom",
    b.starts_at as "periodStartsAt", b.ends_at as "periodEndsAt",
    case when b.id is not null then (select coalesce(sum(w.events), 0) from usage_windows w
      where w.organization_id = o.id and w.window_start >= b.usage_from and w.window_start < b.usage_to)
    end as "eventsThisPeriod",
    (select q.kind from quota_transitions q where q.organization_id = o.id and q.period_id = b.id
      order by q.at desc, q.kind limit 1) as quota,
    (select count(*) from invoices i where i.organization_id = o.id and i.status = 'open') as "unpaidInvoices",
    (select count(*) from invoices i
      where i.organization_id = o.id and i.status = 'open' and i.due_at < now()) as "overdueInvoices",
    (select max(w.window_start) from usage_windows w where w.organization_id = o.id and w.events > 0) as "lastEventHour"
  from organizations o
  left join subscriptions s on s.organization_id = o.id and s.status in ('trialing', 'active', 'paused')
  left join billing_periods b on b.organization_id = o.id and b.status = 'open'
  ${narrow}`

export interface OverviewFilter {
  /** A part of the name in any letter case. */
  name: string
  planKey?: string | undefined
  status?: SubscriptionStatus | undefined
  frozen?: boolean | undefined
  /** Whether an unpaid invoice is past its due date. */
  overdue?: boolean | undefined
}

const isOverdue = sql`exists (select from invoices i where i.organization_id = o.id and i.status = 'open' and i.due_at < now())`

function conditionsOf({ name, planKey, status, frozen, overdue }: OverviewFilter): SQL[] {
  return [
    sql`strpos(lower(o.name), lower(${name})) > 0`,
    ...(planKey === undefined ? [] : [sql`s.plan_key = ${planKey}`]),
    ...(status === undefined ? [] : [sql`s.status = ${status}`]),
    ...(frozen === undefined ? [] : [sql`(o.frozen_at is not null) = ${frozen}`]),
    ...(overdue === undefined ? [] : [sql`${isOverdue} = ${overdue}`]),
  ]
}

/** Organizations in the order of their ids, which is that of their making. */
export async function listOrganizations(
  tx: SystemTx,
  { after, limit, ...filter }: OverviewFilter & { after: string; limit: number },
): Promise<OverviewRow[]> {
  const where = sql.join([sql`o.id > ${after}`, ...conditionsOf(filter)], sql` and `)
  return (await tx.execute<OverviewRow>(overview(sql`where ${where} order by o.id limit ${limit}`))).rows
}

export async function findOrganization(tx: SystemTx, id: string): Promise<OverviewRow | undefined> {
  return (await tx.execute<OverviewRow>(overview(sql`where o.id = ${id}`))).rows[0]
}
