import { forbidden } from '../../errors.ts'
import { PERMISSIONS, type Permission } from '../../http/access.ts'

const VIEWER = [
  'query:read',
  'projects:read',
  'tracking_plan:read',
  'quarantine:read',
  'organizations:read',
  'members:read',
] as const satisfies readonly Permission[]
const ANALYST = [...VIEWER, 'keys:read', 'billing:read'] as const satisfies readonly Permission[]
const DEVELOPER = [
  ...VIEWER,
  'keys:read',
  'keys:write',
  'projects:write',
  'projects:create',
  'tracking_plan:write',
  'quarantine:write',
] as const satisfies readonly Permission[]
const ADMIN = [
  ...DEVELOPER,
  'organizations:write',
  'members:write',
  'roles:write',
  'audit:read',
  'billing:read',
  'billing:write',
] as const satisfies readonly Permission[]

/** The built-in roles, from the most to the least that they may do. An owner may also make owners. */
export const ROLE_PERMISSIONS = {
  owner: ADMIN,
  admin: ADMIN,
  developer: DEVELOPER,
  analyst: ANALYST,
  viewer: VIEWER,
} as const satisfies Record<string, readonly Permission[]>

export type OrganizationRole = keyof typeof ROLE_PERMISSIONS

export const ROLES = Object.keys(ROLE_PERMISSIONS) as OrganizationRole[]

/** What a role may contain. Sending events is for keys alone. */
export const ROLE_GRANTABLE: readonly Permission[] = PERMISSIONS.filter((permission) => permission !== 'events:write')

/** A role as a member has it: a built-in one by its name, or one of the organization by its id, and what it allows at the moment. */
export interface HeldRole {
  role: OrganizationRole | 'custom'
  roleId: string | null
  permissions: readonly Permission[]
}

export const isBuiltIn = (role: string): role is OrganizationRole => role in ROLE_PERMISSIONS

/** A built-in role as a member has it. */
export const builtIn = (role: OrganizationRole): HeldRole => ({
  role,
  roleId: null,
  permissions: ROLE_PERMISSIONS[role],
})

/** A role as it is stored with a member; permissions are those of a role that the organization made. */
export function heldRole(row: {
  role: OrganizationRole | 'custom'
  roleId: string | null
  permissions: readonly string[] | null
}): HeldRole {
  const { role, roleId } = row
  return role === 'custom' ? { role, roleId, permissions: permissionsAmong(row.permissions ?? []) } : builtIn(role)
}

/** The permissions that this version knows: one that an earlier version stored and that is gone allows nothing. */
export const permissionsAmong = (names: readonly string[]): Permission[] =>
  PERMISSIONS.filter((permission) => names.includes(permission))

/** A role as the API names it: the name of a built-in one, or the id of one that the organization made. */
export const nameOf = ({ role, roleId }: Pick<HeldRole, 'role' | 'roleId'>): string => roleId ?? role

export const mayDo = ({ permissions }: HeldRole, permission: Permission): boolean => permissions.includes(permission)

/** Throws 403 unless all of the permissions are among one's own. */
export function assertHas(own: HeldRole, permissions: readonly Permission[]): void {
  const lacking = permissions.filter((permission) => !mayDo(own, permission))
  if (lacking.length > 0) throw forbidden(`Your role lacks ${lacking.join(', ')}.`)
}
