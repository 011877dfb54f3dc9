import type { OrganizationScope, Permission } from '../../../http/access.ts'
import type { Acting } from '../../../http/acting.ts'
import { newId } from '../../../ids.ts'
import { append } from '../../../infra/outbox.ts'
import type { Postgres, TenantTx } from '../../../infra/postgres.ts'
import { record } from '../../audit/index.ts'
import { roleInUse, roleNameTaken, roleNotFound, tooManyRoles } from '../errors.ts'
import { MEMBERS_NARROWED } from '../fact-kinds.ts'
import type { Alone } from '../manages.ts'
import { assertHas, isBuiltIn, permissionsAmong, ROLE_PERMISSIONS, ROLES } from '../roles.ts'
import type { RoleChange, RoleInput, RoleView } from '../schemas.ts'
import * as store from './store.ts'

export type RolesService = ReturnType<typeof createRolesService>

const ROLES_MAX = 100

/**
 * The roles that an organization makes for itself. Nobody makes, changes or takes away a role that may do what they may not: the
 * permissions before a change count as much as those after it.
 */
export function createRolesService({ postgres, alone }: { postgres: Postgres; alone: Alone }) {
  return {
    listRoles: ({ organizationId }: OrganizationScope): Promise<{ data: RoleView[] }> =>
      postgres.withTenant(organizationId, async (tx) => {
        const counts = await store.countMembers(tx)
        const members = new Map(counts.map(({ role, roleId, members }) => [roleId ?? role, members]))
        const made = await store.listRoles(tx)
        const builtIns = ROLES.map((name) => ({
          id: name,
          name,
          builtIn: true,
          permissions: [...ROLE_PERMISSIONS[name]],
        }))
        const data = [...builtIns, ...made.map(toRole)].map((role) => ({ ...role, members: members.get(role.id) ?? 0 }))
        return { data }
      }),

    makeRole: (scope: OrganizationScope, input: RoleInput, by: Acting): Promise<RoleView> =>
      alone(scope, async (tx, own) => {
        assertHas(own, ['roles:write', ...input.permissions])
        await assertRoom(tx)
        await assertNameIsFree(tx, input.name)
        const { organizationId } = scope
        const row = await store.insertRole(tx, { ...input, organizationId, id: newId('rol') })
        await record(tx, { organizationId, by, action: 'role.made', target: targetOf(row.id), after: input })
        return { ...toRole(row), members: 0 }
      }),

    /** Changes a role, which counts for the next request of everybody who has it. */
    changeRole: (scope: OrganizationScope, roleId: string, change: RoleChange, by: Acting): Promise<RoleView> =>
      alone(scope, async (tx, own) => {
        const { organizationId } = scope
        const before = factsOf(await theRole(tx, roleId))
        const after = { ...before, ...change }
        assertHas(own, ['roles:write', ...before.permissions, ...after.permissions])
        if (change.name !== undefined) await assertNameIsFree(tx, change.name, roleId)
        await store.updateRole(tx, roleId, after)
        const userIds = await store.membersWith(tx, roleId)
        const isNarrowed = before.permissions.includes('query:read') && !after.permissions.includes('query:read')
        if (isNarrowed && userIds.length > 0)
          await append(tx, { organizationId, kind: MEMBERS_NARROWED, payload: { userIds } })
        await record(tx, { organizationId, by, action: 'role.changed', target: targetOf(roleId), before, after })
        return { id: roleId, ...after, builtIn: false, members: userIds.length }
      }),

    deleteRole: (scope: OrganizationScope, roleId: string, by: Acting): Promise<void> =>
      alone(scope, async (tx, own) => {
        const before = factsOf(await theRole(tx, roleId))
        assertHas(own, ['roles:write', ...before.permissions])
        const { length } = await store.membersWith(tx, roleId)
        if (length > 0)
          throw roleInUse(
            `${length} ${length === 1 ? 'member has' : 'members have'} the role. Give them another first.`,
          )
        await store.deleteRole(tx, roleId)
        const { organizationId } = scope
        await record(tx, { organizationId, by, action: 'role.deleted', target: targetOf(roleId), before })
      }),
  }
}

async function theRole(tx: TenantTx, roleId: string): Promise<store.RoleRow> {
  const role = await store.findRole(tx, roleId)
  if (!role) throw roleNotFound('There is no such role in this organization.')
  return role
}

async function assertRoom(tx: TenantTx): Promise<void> {
  if ((await store.listRoles(tx)).length >= ROLES_MAX)
    throw tooManyRoles(`An organization has ${ROLES_MAX} roles of its own at the most.`)
}

/** Two roles that read alike would be given by mistake; the names of the built-in ones are taken in every organization. */
async function assertNameIsFree(tx: TenantTx, name: string, except?: string): Promise<void> {
  const nameKey = name.toLowerCase()
  const others = (await store.listRoles(tx)).filter(({ id }) => id !== except)
  if (isBuiltIn(nameKey) || others.some((role) => role.nameKey === nameKey))
    throw roleNameTaken('Another role of the organization has this name.')
}

const targetOf = (id: string) => ({ kind: 'role', id })

const factsOf = ({ name, permissions }: store.RoleRow): { name: string; permissions: Permission[] } => ({
  name,
  permissions: permissionsAmong(permissions),
})

const toRole = (row: store.RoleRow) => ({ id: row.id, ...factsOf(row), builtIn: false })
