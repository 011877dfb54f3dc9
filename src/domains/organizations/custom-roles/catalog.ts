import { KEY_SCOPES, PERMISSIONS, type Permission } from '../../../http/access.ts'
import { ROLE_GRANTABLE } from '../roles.ts'

const DESCRIPTIONS: Record<Permission, string> = {
  'events:write': 'Send events.',
  'query:read': 'See events and usage, live and afterwards, and ask about them.',
  'keys:read': 'See which keys a project has, without their secrets.',
  'keys:write': 'Make and revoke keys, with scopes that one has oneself.',
  'tracking_plan:read': 'See what events should look like, and check some against it.',
  'tracking_plan:write': 'Change what events should look like.',
  'projects:read': 'See projects and their settings.',
  'projects:write': 'Change the settings of projects.',
  'quarantine:read': 'See events that were set aside, with what they carry.',
  'quarantine:write': 'Repair, replay and discard events that were set aside.',
  'audit:read': 'See who did what, when and from where.',
  'projects:create': 'Make projects.',
  'organizations:read': 'See the organization.',
  'organizations:write': 'Rename the organization.',
  'members:read': 'See who belongs to the organization, and its roles.',
  'members:write': 'Give members roles that may do no more than one may oneself, and remove such members.',
  'roles:write': 'Make, change and delete roles that may do no more than one may oneself.',
  'billing:read': 'See usage, meters, the plan, its periods, what is owed and the invoices.',
  'billing:write': 'Change the plan, pause or cancel it, define meters, and say who is billed.',
}

/** Everything that can be permitted, and to whom. */
export const PERMISSION_CATALOG = PERMISSIONS.map((permission) => ({
  permission,
  description: DESCRIPTIONS[permission],
  forKeys: (KEY_SCOPES as readonly Permission[]).includes(permission),
  forRoles: ROLE_GRANTABLE.includes(permission),
}))
