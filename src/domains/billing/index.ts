import type { FastifyPluginAsync } from 'fastify'
import { catalogRoutes } from './catalog/routes.ts'
import type { CatalogService } from './catalog/service.ts'

export { type CatalogService, createCatalogService } from './catalog/service.ts'
export { CHARGES_DUE, PERIOD_ENDED, QUOTA_POLICY_CHANGED, SUBSCRIPTION_CHANGED } from './fact-kinds.ts'
export { subscriptionJobs } from './subscriptions/jobs.ts'
export type { QuotaPeriod, QuotaPolicy } from './subscriptions/quota.ts'
export {
  type BillingPeriod,
  type Clock,
  createSubscriptionsService,
  type SubscriptionsService,
} from './subscriptions/service.ts'

/** What there is to subscribe to and what it costs. */
const billingPlugin: FastifyPluginAsync<{ catalog: CatalogService }> = async (app, options) => {
  await app.register(catalogRoutes, options)
}
export default billingPlugin
