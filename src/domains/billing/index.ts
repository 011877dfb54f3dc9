import type { FastifyPluginAsync } from 'fastify'
import { catalogRoutes } from './catalog/routes.ts'
import type { CatalogService } from './catalog/service.ts'

export { type CatalogService, createCatalogService } from './catalog/service.ts'

/** What there is to subscribe to and what it costs. */
const billingPlugin: FastifyPluginAsync<{ catalog: CatalogService }> = async (app, options) => {
  await app.register(catalogRoutes, options)
}
export default billingPlugin
