import type { FastifyPluginAsync } from 'fastify'
import { catalogRoutes } from './catalog/routes.ts'
import { createCatalogService } from './catalog/service.ts'
import { projectRoutes } from './routes.ts'
import type { ProjectsService } from './service.ts'

export { isAllowedOrigin } from './origins.ts'
export { createProjectsService, issueKey, KEY_REVOKED, PROJECT_CHANGED, type ProjectsService } from './service.ts'

const projectsPlugin: FastifyPluginAsync<{ projects: ProjectsService }> = async (app, options) => {
  await app.register(projectRoutes, options)
  await app.register(catalogRoutes, { catalog: createCatalogService(app) })
}
export default projectsPlugin
