import type { FastifyPluginAsync } from 'fastify'
import { catalogRoutes } from './catalog/routes.ts'
import { createCatalogService } from './catalog/service.ts'
import { keyChangeRoutes } from './key-changes/routes.ts'
import { createKeyChangesService } from './key-changes/service.ts'
import { createKeyUses, type KeyUses } from './key-uses/service.ts'
import { projectRoutes } from './routes.ts'
import { issueKey, type ProjectsService } from './service.ts'

export { KEY_CHANGED, KEY_REVOKED, PROJECT_CHANGED } from './fact-kinds.ts'
export { isAllowedOrigin } from './origins.ts'
export { createRetention, type DueProject, keptFromMs, type Retention } from './retention/service.ts'
export { createProjectsService, issueKey, type ProjectsService } from './service.ts'

/** When keys were used, from the moment when the application is ready until it stops. */
export function openKeyUses(app: Parameters<FastifyPluginAsync>[0]): KeyUses {
  const onFault = (err: unknown) => app.log.warn({ err }, 'when keys were last used was not written down')
  const uses = createKeyUses({ postgres: app.postgres, onFault })
  app.addHook('onReady', async () => uses.start())
  app.addHook('preClose', () => uses.stop())
  return uses
}

interface ProjectsOptions {
  projects: ProjectsService
  /** See createCatalogService. */
  roomForProject: Parameters<typeof createCatalogService>[0]['roomFor']
  retentionOf: Parameters<typeof createCatalogService>[0]['retentionOf']
}

const projectsPlugin: FastifyPluginAsync<ProjectsOptions> = async (app, options) => {
  const { projects, roomForProject: roomFor, retentionOf } = options
  const { postgres } = app
  await app.register(projectRoutes, { projects })
  const keyChanges = createKeyChangesService({ postgres, projects, issueKey })
  await app.register(keyChangeRoutes, { keyChanges })
  await app.register(catalogRoutes, { catalog: createCatalogService({ postgres, roomFor, retentionOf }) })
}
export default projectsPlugin
