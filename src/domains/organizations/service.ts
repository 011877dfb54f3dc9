import type { Permission } from '../../http/access.ts'
import { newId } from '../../ids.ts'
import type { Postgres, SystemTx } from '../../infra/postgres.ts'
import { ROLE_PERMISSIONS } from './roles.ts'
import { findMembership, insertMembership, insertOrganization, listMemberships } from './store.ts'

export type OrganizationsService = ReturnType<typeof createOrganizationsService>

export function createOrganizationsService({ postgres }: { postgres: Postgres }) {
  return {
    /** What a user may do in an organization; undefined when they are no member, so that the caller can answer 404. */
    async permissionsOf(organizationId: string, userId: string): Promise<readonly Permission[] | undefined> {
      const membership = await postgres.withTenant(organizationId, (tx) => findMembership(tx, userId))
      return membership && ROLE_PERMISSIONS[membership.role]
    },

    /** Makes an organization with its owner, inside a transaction of the caller's. */
    async found(tx: SystemTx, name: string, ownerId: string): Promise<string> {
      const organizationId = newId('org')
      await insertOrganization(tx, { id: organizationId, name })
      await insertMembership(tx, { organizationId, id: newId('mem'), userId: ownerId, role: 'owner' })
      return organizationId
    },

    /** The organizations of a user in the order of their ids, inside a transaction of the caller's. */
    organizationIdsOf: async (tx: SystemTx, userId: string): Promise<string[]> =>
      (await listMemberships(tx, userId)).map(({ organizationId }) => organizationId),

    /** The organizations of a user with their role and projects. */
    membershipsOf: (userId: string) => postgres.withSystem((tx) => listMemberships(tx, userId)),
  }
}
