import type { FastifyPluginAsync } from 'fastify'
import { catalogRoutes } from './catalog/routes.ts'
import type { CatalogService } from './catalog/service.ts'
import { createIssuingService } from './invoices/issuing/service.ts'
import { createInvoicesService } from './invoices/service.ts'
import { createSettlingService } from './invoices/settling/service.ts'
import { createVerifyingService } from './invoices/verifying/service.ts'
import { meterRoutes } from './meters/routes.ts'
import type { MetersService } from './meters/service.ts'

export { type CatalogService, createCatalogService } from './catalog/service.ts'
export { CHARGES_DUE, PERIOD_ENDED, QUOTA_POLICY_CHANGED, SUBSCRIPTION_CHANGED } from './fact-kinds.ts'
export { createMetersService, type MetersService, type Usage, type UsageQuestion } from './meters/service.ts'
export { openQuotas, quotaJobs } from './quota/jobs.ts'
export { subscriptionJobs } from './subscriptions/jobs.ts'
export type { QuotaPeriod, QuotaPolicy } from './subscriptions/quota.ts'
export {
  type BillingPeriod,
  type Clock,
  createSubscriptionsService,
  type SubscriptionsService,
} from './subscriptions/service.ts'

export type Invoices = ReturnType<typeof openInvoices>

type InvoicesDependencies = Parameters<typeof createIssuingService>[0] & { creditNotePrefix: string }

/** Invoices from their making to their end: what organizations see, what makes them, what settles them, and what proves them. */
export function openInvoices(dependencies: InvoicesDependencies) {
  return {
    ...createInvoicesService(dependencies),
    ...createIssuingService(dependencies),
    ...createSettlingService(dependencies),
    ...createVerifyingService(dependencies),
  }
}

/** What there is to subscribe to and what it costs. */
const billingPlugin: FastifyPluginAsync<{ catalog: CatalogService; meters: MetersService }> = async (app, options) => {
  await app.register(catalogRoutes, options)
  await app.register(meterRoutes, options)
}
export default billingPlugin
