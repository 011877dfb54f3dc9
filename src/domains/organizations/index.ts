import type { FastifyPluginAsync } from 'fastify'
import { memberRoutes } from './members/routes.ts'
import { createMembersService } from './members/service.ts'
import { organizationRoutes } from './routes.ts'
import type { OrganizationsService } from './service.ts'

export { MEMBERSHIP_ENDED } from './fact-kinds.ts'
export { ROLE_PERMISSIONS } from './roles.ts'
export { createOrganizationsService, type OrganizationsService } from './service.ts'

/** Organizations and who belongs to them. */
const organizationsPlugin: FastifyPluginAsync<{ organizations: OrganizationsService }> = async (app, options) => {
  await app.register(organizationRoutes, options)
  await app.register(memberRoutes, {
    members: createMembersService({ postgres: app.postgres, alone: options.organizations.alone }),
  })
}
export default organizationsPlugin
