import type { Acting } from '../../http/acting.ts'
import type { Postgres } from '../../infra/postgres.ts'
import type { FreezingService } from '../organizations/index.ts'
import { organizationNotFound } from './errors.ts'
import { findOrganization, listOrganizations, type OverviewRow } from './queries.ts'
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
    async list({ name, limit, after }: { name: string; limit: number; after: string }) {
      const rows = await postgres.withSystem((tx) => listOrganizations(tx, { name, after, limit: limit + 1 }))
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

function toOverview({ id, name, frozenAt, frozenReason, ...row }: OverviewRow): OrganizationOverview {
  return {
    id,
    name,
    createdAt: new Date(row.createdAt).toISOString(),
    members: Number(row.members),
    projects: Number(row.projects),
    eventsThisMonth: Number(row.eventsThisMonth),
    frozen: frozenAt && { since: new Date(frozenAt).toISOString(), reason: frozenReason ?? '' },
  }
}
