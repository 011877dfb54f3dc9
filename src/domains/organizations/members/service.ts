import { invalidRequest } from '../../../errors.ts'
import type { OrganizationScope } from '../../../http/access.ts'
import type { Acting } from '../../../http/acting.ts'
import { append } from '../../../infra/outbox.ts'
import type { Postgres, TenantTx } from '../../../infra/postgres.ts'
import { record } from '../../audit/index.ts'
import { findRole } from '../custom-roles/store.ts'
import { lastOwner, memberNotFound } from '../errors.ts'
import { MEMBERS_NARROWED, MEMBERSHIP_ENDED } from '../fact-kinds.ts'
import { deleteInvitationsBy } from '../invitations/store.ts'
import { type Alone, assertManages, assertOwner, manages } from '../manages.ts'
import { builtIn, type HeldRole, heldRole, isBuiltIn, mayDo, nameOf, ROLES } from '../roles.ts'
import type { Member } from '../schemas.ts'
import { countOwners, deleteMembership, findMember, listMembers, type MemberRow, updateRole } from './store.ts'

export { listOwnerIds } from './store.ts'

export type MembersService = ReturnType<typeof createMembersService>

/** Who belongs to an organization and as what. There is always an owner. */
export function createMembersService({ postgres, alone }: { postgres: Postgres; alone: Alone }) {
  async function end(tx: TenantTx, organizationId: string, member: MemberRow, by: Acting, action: string) {
    const { userId, name } = member
    if (member.role === 'owner') await assertAnotherOwner(tx)
    await deleteMembership(tx, userId)
    await append(tx, { organizationId, kind: MEMBERSHIP_ENDED, payload: { userId } })
    const [target, before] = [
      { kind: 'member', id: userId },
      { name, role: nameOf(member) },
    ]
    await record(tx, { organizationId, by, action, target, before })
  }

  /** Takes back what a member has offered and could not offer with the new role. */
  async function giveRole(tx: TenantTx, userId: string, role: HeldRole): Promise<void> {
    await updateRole(tx, userId, role)
    await deleteInvitationsBy(
      tx,
      userId,
      ROLES.filter((offered) => !manages(role, offered)),
    )
  }

  return {
    async listMembers({ organizationId }: OrganizationScope, page: { limit: number; after: string }) {
      const rows = await postgres.withTenant(organizationId, (tx) =>
        listMembers(tx, { ...page, limit: page.limit + 1 }),
      )
      const shown = rows.slice(0, page.limit)
      return { data: shown.map(toMember), nextCursor: rows.length > page.limit ? (shown.at(-1)?.id ?? null) : null }
    },

    /** Gives a member another role, which counts for their next request. Nobody gives or takes a role above their own. */
    changeRole: (scope: OrganizationScope, userId: string, name: string, by: Acting): Promise<Member> =>
      alone(scope, async (tx, own) => {
        const role = await theRole(tx, name)
        assertManages(own, role)
        const member = await theMember(tx, userId)
        assertManages(own, heldRole(member))
        if (nameOf(member) === nameOf(role)) return toMember(member)
        if (member.role === 'owner') await assertAnotherOwner(tx)
        await giveRole(tx, userId, role)
        const { organizationId } = scope
        if (!mayDo(role, 'query:read'))
          await append(tx, { organizationId, kind: MEMBERS_NARROWED, payload: { userIds: [userId] } })
        const difference = { before: { role: nameOf(member) }, after: { role: nameOf(role) } }
        const target = { kind: 'member', id: userId }
        await record(tx, { organizationId, by, action: 'member.role_changed', target, ...difference })
        return toMember(inRole(member, role))
      }),

    /** Takes a member out: their next request finds nothing, and their live connections close. */
    removeMember: (scope: OrganizationScope, userId: string, by: Acting): Promise<void> =>
      alone(scope, async (tx, own) => {
        const member = await theMember(tx, userId)
        assertManages(own, heldRole(member))
        await end(tx, scope.organizationId, member, by, 'member.removed')
      }),

    /** The same by oneself, with any role. */
    leave: (scope: OrganizationScope, by: Acting): Promise<void> =>
      alone(scope, async (tx) => end(tx, scope.organizationId, await theMember(tx, scope.userId), by, 'member.left')),

    /** Makes another member the owner in the place of whoever asks, who is an admin from then on. */
    transfer: (scope: OrganizationScope, userId: string, by: Acting): Promise<Member> =>
      alone(scope, async (tx, own) => {
        assertOwner(own)
        const member = await theMember(tx, userId)
        if (userId === scope.userId) throw transferToSelf()
        await giveRole(tx, userId, builtIn('owner'))
        await giveRole(tx, scope.userId, builtIn('admin'))
        const [{ organizationId }, target] = [scope, { kind: 'member', id: userId }]
        const difference = { before: { role: nameOf(member) }, after: { role: 'owner' } }
        await record(tx, { organizationId, by, action: 'ownership.transferred', target, ...difference })
        return toMember(inRole(member, builtIn('owner')))
      }),
  }
}

const transferToSelf = () =>
  invalidRequest('Name another member.', { errors: [{ path: '/userId', message: 'is yourself' }] })

async function theMember(tx: TenantTx, userId: string): Promise<MemberRow> {
  const member = await findMember(tx, userId)
  if (!member) throw memberNotFound('There is no such member in this organization.')
  return member
}

/** The role of a name or an id, as it is when a member gets it. */
async function theRole(tx: TenantTx, name: string): Promise<HeldRole> {
  if (isBuiltIn(name)) return builtIn(name)
  const role = await findRole(tx, name)
  if (!role) {
    const errors = [{ path: '/role', message: 'is no role of this organization' }]
    throw invalidRequest('There is no such role in this organization.', { errors })
  }
  return heldRole({ role: 'custom', roleId: role.id, permissions: role.permissions })
}

async function assertAnotherOwner(tx: TenantTx): Promise<void> {
  if ((await countOwners(tx)) > 1) return
  throw lastOwner('This is the only owner. Make somebody else an owner first.')
}

const inRole = (member: MemberRow, role: HeldRole): MemberRow => ({
  ...member,
  ...role,
  permissions: [...role.permissions],
})

function toMember({ userId, name, email, createdAt, ...role }: MemberRow): Member {
  return { userId, name, email, role: nameOf(role), joinedAt: createdAt.toISOString() }
}
