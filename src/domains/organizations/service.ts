import type { Permission } from '../../http/access.ts'
import type { Postgres } from '../../infra/postgres.ts'
import { ROLE_PERMISSIONS } from './roles.ts'
import { findMembership, listMemberships } from './store.ts'

export type OrganizationsService = ReturnType<typeof createOrganizationsService>

export function createOrganizationsService({ postgres }: { postgres: Postgres }) {
  return {
    /** What a user may do in an organization; undefined when they are no member, so that the caller can answer 404. */
    async permissionsOf(organizationId: string, userId: string): Promise<readonly Permission[] | undefined> {
      const membership = await postgres.withTenant(organizationId, (tx) => findMembership(tx, userId))
      return membership && ROLE_PERMISSIONS[membership.role]
    },

    /** The organizations of a user with their role and projects. */
    membershipsOf: (userId: string) => postgres.withSystem((tx) => listMemberships(tx, userId)),
  }
}
