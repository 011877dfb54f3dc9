import type { FastifyPluginAsync } from 'fastify'
import { roleRoutes } from './custom-roles/routes.ts'
import { createRolesService } from './custom-roles/service.ts'
import { createDeletionService } from './deletion/service.ts'
import { invitationRoutes, receivedRoutes } from './invitations/routes.ts'
import { createInvitationsService } from './invitations/service.ts'
import { memberRoutes } from './members/routes.ts'
import { createMembersService } from './members/service.ts'
import { organizationRoutes } from './routes.ts'
import type { OrganizationsService } from './service.ts'

export { frozenBecause } from './errors.ts'
export { FREEZE_CHANGED, INVITED, KEYS_SWITCHED, MEMBERS_NARROWED, MEMBERSHIP_ENDED } from './fact-kinds.ts'
export { createFreezingService, type FreezingService } from './freezing/service.ts'
export { invitationToMail } from './invitations/service.ts'
export { organizationJobs } from './jobs.ts'
export { listOwnerIds } from './members/service.ts'
export { ROLE_PERMISSIONS } from './roles.ts'
export { createOrganizationsService, type OrganizationsService } from './service.ts'

interface OrganizationsOptions {
  organizations: OrganizationsService
  /** How long the deletion of an organization can be taken back. */
  graceMs: number
  /** See createInvitationsService. */
  roomForMember: Parameters<typeof createInvitationsService>[0]['roomFor']
  /** Makes the token of an invitation's link of its id. */
  invitationTokenOf: (invitationId: string) => string
}

/** Organizations and who belongs to them. */
const organizationsPlugin: FastifyPluginAsync<OrganizationsOptions> = async (app, options) => {
  const { postgres } = app
  const { organizations, invitationTokenOf: tokenOf } = options
  const deletion = createDeletionService({ alone: organizations.alone, graceMs: options.graceMs })
  await app.register(organizationRoutes, { organizations, deletion })
  await app.register(memberRoutes, {
    members: createMembersService({ postgres, alone: organizations.alone }),
  })
  const invitations = createInvitationsService({
    postgres,
    alone: organizations.alone,
    roomFor: options.roomForMember,
    readOrganization: organizations.readOrganization,
    tokenOf,
  })
  await app.register(invitationRoutes, { invitations })
  await app.register(receivedRoutes, { invitations })
  await app.register(roleRoutes, { roles: createRolesService({ postgres, alone: organizations.alone }) })
}
export default organizationsPlugin
