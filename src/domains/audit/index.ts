import type { FastifyPluginAsync } from 'fastify'
import { auditRoutes } from './routes.ts'
import { createAuditService } from './service.ts'

export { csvLine } from './csv.ts'
export { type AuditService, createAuditService, record } from './service.ts'

/** What was done, by whom and from where: written by the services that do it, in a chain that shows when it was tampered with. */
const auditPlugin: FastifyPluginAsync = async (app) => {
  await app.register(auditRoutes, { audit: createAuditService(app) })
}
export default auditPlugin
