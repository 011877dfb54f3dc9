import type { FastifyPluginAsync } from 'fastify'
import { projectRoutes } from './routes.ts'
import type { ProjectsService } from './service.ts'

export { isAllowedOrigin } from './origins.ts'
export { createProjectsService, issueKey, KEY_REVOKED, PROJECT_CHANGED, type ProjectsService } from './service.ts'

const projectsPlugin: FastifyPluginAsync<{ projects: ProjectsService }> = async (app, options) => {
  await app.register(projectRoutes, options)
}
export default projectsPlugin
