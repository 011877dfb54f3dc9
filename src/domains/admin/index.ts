import type { FastifyPluginAsync } from 'fastify'
import type { FreezingService } from '../organizations/index.ts'
import { adminRoutes } from './routes.ts'
import { createAdminService } from './service.ts'

/** What the people who run the platform see and do. To everybody else these routes are not there. */
const adminPlugin: FastifyPluginAsync<{ freezing: FreezingService }> = async (app, { freezing }) => {
  await app.register(adminRoutes, { admin: createAdminService({ postgres: app.postgres, freezing }) })
}
export default adminPlugin
