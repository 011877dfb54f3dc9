import { forbidden } from '../../errors.ts'
import type { OrganizationScope, Permission, Principal } from '../../http/access.ts'
import type { Acting } from '../../http/acting.ts'
import { newId } from '../../ids.ts'
import { append } from '../../infra/outbox.ts'
import type { Postgres, SystemTx } from '../../infra/postgres.ts'
import { record } from '../audit/index.ts'
import { frozenBecause, lastOwner, noSuchOrganization } from './errors.ts'
import { MEMBERSHIP_ENDED } from './fact-kinds.ts'
import type { Alone } from './manages.ts'
import { toOrganization } from './organization.ts'
import { builtIn, heldRole, mayDo, nameOf } from './roles.ts'
import type { Organization } from './schemas.ts'
import {
  deleteMemberships,
  findMembership,
  findOrganization,
  insertMembership,
  insertOrganization,
  listMemberships,
  listOwnedAlone,
  lockOrganization,
  lockOrganizationsOf,
  type OrganizationRow,
  pageMemberships,
  renameOrganization,
} from './store.ts'

export type OrganizationsService = ReturnType<typeof createOrganizationsService>

interface Dependencies {
  postgres: Postgres
  /** Gives a new organization what it is billed by, in the transaction that makes it. */
  beginBilling: (tx: SystemTx, organizationId: string) => Promise<void>
}

const ORGANIZATION_ID = /^org_[0-9a-z]{26}$/

/**
 * Organizations, and what a person may do in one. Memberships are read anew for every request, so that a new role, or none, counts for
 * the next one in every process.
 */
export function createOrganizationsService({ postgres, beginBilling }: Dependencies) {
  async function membershipOf({ organizationId, userId }: OrganizationScope) {
    return postgres.withTenant(organizationId, (tx) => findMembership(tx, userId))
  }

  async function found(tx: SystemTx, name: string, ownerId: string, by: Acting): Promise<OrganizationRow> {
    const organization = await insertOrganization(tx, { id: newId('org'), name })
    const owner = { organizationId: organization.id, id: newId('mem'), userId: ownerId, role: 'owner' } as const
    await insertMembership(tx, owner)
    await beginBilling(tx, organization.id)
    const target = { kind: 'organization', id: organization.id }
    await record(tx, { organizationId: organization.id, by, action: 'organization.made', target, after: { name } })
    return organization
  }

  return {
    /** What a user may do in an organization; undefined when they are no member, so that the caller can answer 404. */
    async permissionsOf(
      organizationId: string,
      userId: string,
      whileFrozen = true,
    ): Promise<readonly Permission[] | undefined> {
      const membership = await membershipOf({ organizationId, userId })
      if (membership?.frozenAt && !whileFrozen) throw frozenBecause(membership.frozenReason)
      return membership && heldRole(membership).permissions
    },

    /** Throws 403 while an organization is frozen. */
    async assertThawed(organizationId: string): Promise<void> {
      const organization = await postgres.withTenant(organizationId, (tx) => findOrganization(tx, organizationId))
      if (organization?.frozenAt) throw frozenBecause(organization.frozenReason)
    },

    /** Checks a permission in an organization; see AccessRules.authorizeOrganization. */
    async authorize(
      principal: Principal,
      permission: Permission,
      organizationId: string,
      whileFrozen: boolean,
    ): Promise<OrganizationScope> {
      if (principal.kind !== 'session') throw forbidden('A key is not a person: sign in to use this route.')
      const scope = { organizationId, userId: principal.userId }
      const membership = ORGANIZATION_ID.test(organizationId) ? await membershipOf(scope) : undefined
      if (!membership) throw noSuchOrganization()
      if (!mayDo(heldRole(membership), permission)) throw forbidden(`Your role lacks the permission ${permission}.`)
      if (membership.frozenAt && !whileFrozen) throw frozenBecause(membership.frozenReason)
      return scope
    },

    /** The organizations of a user in the order of their ids, inside a transaction of the caller's. */
    organizationIdsOf: async (tx: SystemTx, userId: string): Promise<string[]> =>
      (await listMemberships(tx, userId)).map(({ organization }) => organization.id),

    /** See Alone. */
    alone: (async ({ organizationId, userId }, change) =>
      postgres.withTenant(organizationId, async (tx) => {
        await lockOrganization(tx, organizationId)
        const membership = await findMembership(tx, userId)
        if (!membership) throw noSuchOrganization()
        return change(tx, heldRole(membership))
      })) as Alone,

    /** Makes an organization with its owner, at the end of a transaction of the caller's, as it writes down who did it. */
    found,

    leaveAll,

    async create(name: string, ownerId: string, by: Acting): Promise<Organization> {
      return toOrganization(await postgres.withSystem((tx) => found(tx, name, ownerId, by)), builtIn('owner'))
    },

    /** All organizations of a user with their role. */
    async membershipsOf(userId: string) {
      const rows = await postgres.withSystem((tx) => listMemberships(tx, userId))
      return rows.map(({ organization: { id: organizationId, name }, ...role }) => ({
        organizationId,
        name,
        role: nameOf(role),
      }))
    },

    async listOrganizations(userId: string, page: { limit: number; after: string }) {
      const rows = await postgres.withSystem((tx) => pageMemberships(tx, userId, { ...page, limit: page.limit + 1 }))
      const data = rows.slice(0, page.limit).map(({ organization, ...role }) => toOrganization(organization, role))
      return { data, nextCursor: rows.length > page.limit ? (data.at(-1)?.id ?? null) : null }
    },

    readOrganization: ({ organizationId, userId }: OrganizationScope): Promise<Organization> =>
      postgres.withTenant(organizationId, async (tx) => {
        const [organization, membership] = [
          await findOrganization(tx, organizationId),
          await findMembership(tx, userId),
        ]
        if (!organization || !membership) throw noSuchOrganization()
        return toOrganization(organization, membership)
      }),

    renameOrganization: (
      { organizationId, userId }: OrganizationScope,
      name: string,
      by: Acting,
    ): Promise<Organization> =>
      postgres.withTenant(organizationId, async (tx) => {
        await lockOrganization(tx, organizationId)
        const [before, membership] = [await findOrganization(tx, organizationId), await findMembership(tx, userId)]
        const organization = await renameOrganization(tx, organizationId, name)
        if (!organization || !before || !membership) throw noSuchOrganization()
        const target = { kind: 'organization', id: organizationId }
        const difference = { before: { name: before.name }, after: { name } }
        if (before.name !== name)
          await record(tx, { organizationId, by, action: 'organization.renamed', target, ...difference })
        return toOrganization(organization, membership)
      }),
  }
}

/**
 * Takes a person out of every organization, inside a transaction of the caller's, who keeps them from joining another meanwhile. Throws
 * 409 with the names of those that would be left without an owner. Gives the ids, in order.
 */
async function leaveAll(tx: SystemTx, userId: string): Promise<string[]> {
  await lockOrganizationsOf(tx, userId)
  const left = await listOwnedAlone(tx, userId)
  if (left.length > 0) {
    const names = left.map(({ name }) => `“${name}”`).join(', ')
    throw lastOwner(`You are the only owner of ${names}. Make somebody else an owner first.`)
  }
  const organizationIds = await deleteMemberships(tx, userId)
  for (const organizationId of organizationIds) {
    await append(tx, { organizationId, kind: MEMBERSHIP_ENDED, payload: { userId } })
  }
  return organizationIds
}
