import type { OrganizationScope } from '../../../http/access.ts'
import { append } from '../../../infra/outbox.ts'
import type { Postgres, TenantTx } from '../../../infra/postgres.ts'
import { lastOwner, memberNotFound } from '../errors.ts'
import { MEMBERSHIP_ENDED } from '../fact-kinds.ts'
import { type Alone, assertManages } from '../manages.ts'
import type { OrganizationRole } from '../roles.ts'
import type { Member } from '../schemas.ts'
import { countOwners, deleteMembership, findMember, listMembers, type MemberRow, updateRole } from './store.ts'

export type MembersService = ReturnType<typeof createMembersService>

/** Who belongs to an organization and as what. There is always an owner. */
export function createMembersService({ postgres, alone }: { postgres: Postgres; alone: Alone }) {
  async function end(tx: TenantTx, organizationId: string, member: MemberRow): Promise<void> {
    if (member.role === 'owner') await assertAnotherOwner(tx)
    await deleteMembership(tx, member.userId)
    await append(tx, { organizationId, kind: MEMBERSHIP_ENDED, payload: { userId: member.userId } })
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
    changeRole: (scope: OrganizationScope, userId: string, role: OrganizationRole): Promise<Member> =>
      alone(scope, async (tx, own) => {
        assertManages(own, role)
        const member = await theMember(tx, userId)
        assertManages(own, member.role)
        if (member.role === 'owner' && role !== 'owner') await assertAnotherOwner(tx)
        await updateRole(tx, userId, role)
        return toMember({ ...member, role })
      }),

    /** Takes a member out: their next request finds nothing, and their live connections close. */
    removeMember: (scope: OrganizationScope, userId: string): Promise<void> =>
      alone(scope, async (tx, own) => {
        const member = await theMember(tx, userId)
        assertManages(own, member.role)
        await end(tx, scope.organizationId, member)
      }),

    /** The same by oneself, with any role. */
    leave: (scope: OrganizationScope): Promise<void> =>
      alone(scope, async (tx) => end(tx, scope.organizationId, await theMember(tx, scope.userId))),
  }
}

async function theMember(tx: TenantTx, userId: string): Promise<MemberRow> {
  const member = await findMember(tx, userId)
  if (!member) throw memberNotFound('There is no such member in this organization.')
  return member
}

async function assertAnotherOwner(tx: TenantTx): Promise<void> {
  if ((await countOwners(tx)) > 1) return
  throw lastOwner('This is the only owner. Make somebody else an owner first.')
}

function toMember({ userId, name, email, role, createdAt }: MemberRow): Member {
  return { userId, name, email, role, joinedAt: createdAt.toISOString() }
}
