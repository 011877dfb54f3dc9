import { forbidden } from '../../errors.ts'
import type { Exceptions, OrganizationScope, Permission, Principal } from '../../http/access.ts'
import type { Acting } from '../../http/acting.ts'
import { newId } from '../../ids.ts'
import { append } from '../../infra/outbox.ts'
import type { Postgres, SystemTx, TenantTx } from '../../infra/postgres.ts'
import { record } from '../audit/index.ts'
import { frozenBecause, lastOwner, noSuchOrganization, secondFactorFirst } from './errors.ts'
import { MEMBERS_NARROWED, MEMBERSHIP_ENDED } from './fact-kinds.ts'
import type { Alone } from './manages.ts'
import { toOrganization } from './organization.ts'
import { builtIn, heldRole, mayDo, nameOf } from './roles.ts'
import type { Organization, OrganizationChange } from './schemas.ts'
import {
  deleteMemberships,
  findMembership,
  findOrganization,
  insertMembership,
  insertOrganization,
  listMemberIds,
  listMemberships,
  listOwnedAlone,
  lockOrganization,
  lockOrganizationsOf,
  type OrganizationRow,
  pageMemberships,
  updateOrganization,
} from './store.ts'

export type OrganizationsService = ReturnType<typeof createOrganizationsService>

const ORGANIZATION_ID = /^org_[0-9a-z]{26}$/

interface Dependencies {
  postgres: Postgres
  hasSecondFactor: (userId: string) => Promise<boolean>
  /** Gives a new organization what it is billed by, in the transaction that makes it. */
  beginBilling: (tx: SystemTx, organizationId: string) => Promise<void>
}

/**
 * Organizations, and what a person may do in one. Memberships are read anew for every request, so that a new role, or none, counts for
 * the next one in every process.
 */
export function createOrganizationsService({ postgres, hasSecondFactor, beginBilling }: Dependencies) {
  async function membershipOf({ organizationId, userId }: OrganizationScope) {
    return postgres.withTenant(organizationId, (tx) => findMembership(tx, userId))
  }

  /** Throws 403 where an organization asks for a second factor that the person lacks. Asked of those organizations alone. */
  async function assertSecondFactor(userId: string, { requiresSecondFactor }: { requiresSecondFactor: boolean }) {
    if (requiresSecondFactor && !(await hasSecondFactor(userId))) throw secondFactorFirst()
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
      if (!membership) return undefined
      await assertSecondFactor(userId, membership)
      if (membership.frozenAt && !whileFrozen) throw frozenBecause(membership.frozenReason)
      return heldRole(membership).permissions
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
      { whileFrozen = false, withoutSecondFactor = false }: Exceptions,
    ): Promise<OrganizationScope> {
      if (principal.kind !== 'session') throw forbidden('A key is not a person: sign in to use this route.')
      const scope = { organizationId, userId: principal.userId }
      const membership = ORGANIZATION_ID.test(organizationId) ? await membershipOf(scope) : undefined
      if (!membership) throw noSuchOrganization()
      if (!withoutSecondFactor) await assertSecondFactor(principal.userId, membership)
      if (!mayDo(heldRole(membership), permission)) throw forbidden(`Your role lacks the permission ${permission}.`)
      if (membership.frozenAt && !whileFrozen) throw frozenBecause(membership.frozenReason)
      return scope
    },

    /** The organizations of a user in the order of their ids, inside a transaction of the caller's. */
    organizationIdsOf: async (tx: SystemTx, userId: string): Promise<string[]> =>
      (await listMemberships(tx, userId)).map(({ organization }) => organization.id),

    /** Closes the sockets of a person in every organization that asks for a second factor, inside a transaction of the caller's. */
    async endWatching(tx: SystemTx, userId: string): Promise<void> {
      for (const { organization } of await listMemberships(tx, userId)) {
        const { id: organizationId, requiresSecondFactor } = organization
        if (requiresSecondFactor)
          await append(tx, { organizationId, kind: MEMBERS_NARROWED, payload: { userIds: [userId] } })
      }
    },

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

    /** Whoever asks for a second factor needs one, or nobody might be left who can take it back. */
    async changeOrganization(
      { organizationId, userId }: OrganizationScope,
      change: OrganizationChange,
      by: Acting,
    ): Promise<Organization> {
      if (change.requiresSecondFactor) await assertSecondFactor(userId, { requiresSecondFactor: true })
      return postgres.withTenant(organizationId, async (tx) => {
        await lockOrganization(tx, organizationId)
        const [before, membership] = [await findOrganization(tx, organizationId), await findMembership(tx, userId)]
        if (!before || !membership) throw noSuchOrganization()
        const { name = before.name, requiresSecondFactor = before.requiresSecondFactor } = change
        const organization = await updateOrganization(tx, organizationId, { name, requiresSecondFactor })
        if (!organization) throw noSuchOrganization()
        await tellOfChange(tx, before, organization, by)
        return toOrganization(organization, membership)
      })
    },
  }
}

/** Writes down what of an organization is another now. Sockets of members close; those who may still watch come back. */
async function tellOfChange(tx: TenantTx, before: OrganizationRow, after: OrganizationRow, by: Acting): Promise<void> {
  const { id: organizationId, name, requiresSecondFactor } = after
  const written = { organizationId, by, target: { kind: 'organization', id: organizationId } }
  const narrowed = requiresSecondFactor && !before.requiresSecondFactor
  if (narrowed) {
    const payload = { userIds: await listMemberIds(tx) }
    await append(tx, { organizationId, kind: MEMBERS_NARROWED, payload })
  }
  if (before.name !== name) {
    const difference = { before: { name: before.name }, after: { name } }
    await record(tx, { ...written, action: 'organization.renamed', ...difference })
  }
  if (before.requiresSecondFactor !== requiresSecondFactor) {
    const difference = { before: { requiresSecondFactor: !requiresSecondFactor }, after: { requiresSecondFactor } }
    await record(tx, { ...written, action: 'organization.second_factor_changed', ...difference })
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
