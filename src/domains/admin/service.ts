import type { Acting } from '../../http/acting.ts'
import type { Postgres } from '../../infra/postgres.ts'
import type { FreezingService } from '../organizations/index.ts'
import { organizationNotFound } from './errors.ts'
import { findOrganization, listOrganizations, type OverviewFilter, type OverviewRow } from './queries.ts'
import type { OrganizationOverview } from './schemas.ts'

export type AdminService = ReturnType<typeof createAdminService>

interface Dependencies {
  postgres: Postgres
  freezing: FreezingService
}

/** All organizations, as whoever runs the platform sees them: how large and in what state, and nothing that they have sent. */
export function createAdminService({ postgres, freezing }: Dependencies) {
  async function read(organizationId: string): Promise<OrganizationOverview> {
    const row = await postgres.withSystem((tx) => findOrganization(tx, organizationId))
    if (!row) throw organizationNotFound('There is no such organization.')
    return toOverview(row)
  }

  return {
    async list({ limit, ...query }: OverviewFilter & { limit: number; after: string }) {
      const rows = await postgres.withSystem((tx) => listOrganizations(tx, { ...query, limit: limit + 1 }))
      const data = rows.slice(0, limit).map(toOverview)
      return { data, nextCursor: rows.length > limit ? (data.at(-1)?.id ?? null) : null }
    },

    read,

    async freeze(organizationId: string, reason: string, by: Acting): Promise<OrganizationOverview> {
      await read(organizationId)
      await freezing.freeze(organizationId, reason, { ...by, asOperator: true })
      return read(organizationId)
    },

    async unfreeze(organizationId: string, by: Acting): Promise<OrganizationOverview> {
      await read(organizationId)
      await freezing.unfreeze(organizationId, { ...by, asOperator: true })
      return read(organizationId)
    },
  }
}

function toOverview(row: OverviewRow): OrganizationOverview {
  const { id, name, frozenAt, frozenReason, lastEventHour } = row
  return {
    id,
    name,
    createdAt: timeOf(row.createdAt),
    members: Number(row.members),
    projects: Number(row.projects),
    eventsThisMonth: Number(row.eventsThisMonth),
    frozen: frozenAt && { since: timeOf(frozenAt), reason: frozenReason ?? '' },
    subscription: toSubscription(row),
    unpaidInvoices: Number(row.unpaidInvoices),
    overdueInvoices: Number(row.overdueInvoices),
    lastEventHour: lastEventHour && timeOf(lastEventHour),
  }
}

function toSubscription(row: OverviewRow): OrganizationOverview['subscription'] {
  const { status, planKey, planVersion, isCustom, periodStartsAt, periodEndsAt, quota } = row
  if (status === null || planKey === null) return null
  const period = periodStartsAt &&
    periodEndsAt && {
      startsAt: timeOf(periodStartsAt),
      endsAt: timeOf(periodEndsAt),
      events: Number(row.eventsThisPeriod),
    }
  return { status, plan: { key: planKey, version: planVersion ?? 1, isCustom: isCustom === true }, period, quota }
}

const timeOf = (time: Date): string => new Date(time).toISOString()
