import type { Permission } from '../../http/access.ts'

const VIEWER = [
  'query:read',
  'projects:read',
  'tracking_plan:read',
  'quarantine:read',
] as const satisfies readonly Permission[]
const ANALYST = [...VIEWER, 'keys:read'] as const satisfies readonly Permission[]
const DEVELOPER = [
  ...ANALYST,
  'keys:write',
  'projects:write',
  'tracking_plan:write',
  'quarantine:write',
] as const satisfies readonly Permission[]

const ADMIN = [...DEVELOPER, 'audit:read'] as const satisfies readonly Permission[]

/** The built-in roles, from the most to the least that they may do. */
export const ROLE_PERMISSIONS = {
  owner: ADMIN,
  admin: ADMIN,
  developer: DEVELOPER,
  analyst: ANALYST,
  viewer: VIEWER,
} as const satisfies Record<string, readonly Permission[]>

export type OrganizationRole = keyof typeof ROLE_PERMISSIONS
