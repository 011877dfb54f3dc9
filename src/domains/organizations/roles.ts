import type { Permission } from '../../http/access.ts'

/** The built-in roles, from the most to the least that they may do. */
export const ROLE_PERMISSIONS = {
  owner: ['query:read', 'keys:read', 'keys:write', 'tracking_plan:read', 'tracking_plan:write'],
  admin: ['query:read', 'keys:read', 'keys:write', 'tracking_plan:read', 'tracking_plan:write'],
  developer: ['query:read', 'keys:read', 'keys:write', 'tracking_plan:read', 'tracking_plan:write'],
  analyst: ['query:read', 'keys:read', 'tracking_plan:read'],
  viewer: ['query:read', 'tracking_plan:read'],
} as const satisfies Record<string, readonly Permission[]>

export type OrganizationRole = keyof typeof ROLE_PERMISSIONS
