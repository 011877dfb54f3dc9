import type { FastifyPluginAsync } from 'fastify'
import { catalogRoutes } from './catalog/routes.ts'
import { createCatalogService } from './catalog/service.ts'
import { projectRoutes } from './routes.ts'
import type { ProjectsService } from './service.ts'

export { isAllowedOrigin } from './origins.ts'
export { createProjectsService, issueKey, KEY_REVOKED, PROJECT_CHANGED, type ProjectsService } from './service.ts'

interface ProjectsOptions {
  projects: ProjectsService
  /** See createCatalogService. */
  roomForProject: Parameters<typeof createCatalogService>[0]['roomFor']
}

const projectsPlugin: FastifyPluginAsync<ProjectsOptions> = async (app, { projects, roomForProject: roomFor }) => {
  await app.register(projectRoutes, { projects })
  await app.register(catalogRoutes, { catalog: createCatalogService({ postgres: app.postgres, roomFor }) })
}
export default projectsPlugin
