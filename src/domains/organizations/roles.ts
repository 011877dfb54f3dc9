import type { Permission } from '../../http/access.ts'

const VIEWER = [
  'query:read',
  'projects:read',
  'tracking_plan:read',
  'quarantine:read',
  'organizations:read',
  'members:read',
] as const satisfies readonly Permission[]
const ANALYST = [...VIEWER, 'keys:read'] as const satisfies readonly Permission[]
const DEVELOPER = [
  ...ANALYST,
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
  'audit:read',
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

/** The roles that are above another. */
export const rolesAbove = (role: OrganizationRole): OrganizationRole[] => ROLES.slice(0, ROLES.indexOf(role))

export const mayDo = (role: OrganizationRole, permission: Permission): boolean =>
  (ROLE_PERMISSIONS[role] as readonly Permission[]).includes(permission)
