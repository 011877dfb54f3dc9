import type { FastifyPluginAsync } from 'fastify'
import { accountRoutes } from './accounts/routes.ts'
import { createAccountsService } from './accounts/service.ts'
import { catalogRoutes } from './catalog/routes.ts'
import type { CatalogService } from './catalog/service.ts'
import { couponRoutes } from './coupons/routes.ts'
import { createCouponsService } from './coupons/service.ts'
import { meterRoutes } from './meters/routes.ts'
import type { MetersService } from './meters/service.ts'
import { usageReadRoutes } from './meters/usage/routes.ts'
import { createUsageReads } from './meters/usage/service.ts'
import { operatorRoutes } from './operator/routes.ts'
import { createAssertOrganization } from './operator/service.ts'
import { createChangesService } from './subscriptions/changes/service.ts'
import { subscriptionRoutes } from './subscriptions/routes.ts'
import type { SubscriptionsService } from './subscriptions/service.ts'

export { type CatalogService, createCatalogService } from './catalog/service.ts'
export { type CouponsService, createCouponsService, type RedeemedCoupon } from './coupons/service.ts'
export { CHARGES_DUE, PERIOD_ENDED, QUOTA_POLICY_CHANGED, SUBSCRIPTION_CHANGED } from './fact-kinds.ts'
export { createLimitsService, type LimitsService } from './limits/service.ts'
export type { Usage, UsageQuestion } from './meters/question.ts'
export { createMetersService, type MetersService } from './meters/service.ts'
export { meterJobs } from './meters/windows/jobs.ts'
export { createMeterWindows, type MeterWindows } from './meters/windows/service.ts'
export { type ChangesService, createChangesService } from './subscriptions/changes/service.ts'
export { subscriptionJobs } from './subscriptions/jobs.ts'
export type { QuotaPeriod, QuotaPolicy } from './subscriptions/quota.ts'
export {
  type BillingPeriod,
  type Clock,
  createSubscriptionsService,
  type SubscriptionsService,
} from './subscriptions/service.ts'

interface BillingOptions {
  catalog: CatalogService
  subscriptions: SubscriptionsService
  meters: MetersService
  completeThrough: (organizationId: string) => Promise<Date>
}

/** What there is to subscribe to and what it costs, and what each organization is on. */
const billingPlugin: FastifyPluginAsync<BillingOptions> = async (app, options) => {
  const { catalog, subscriptions, meters, completeThrough } = options
  await app.register(catalogRoutes, { catalog })
  const changes = createChangesService({ subscriptions, catalog })
  await app.register(subscriptionRoutes, { changes })
  await app.register(meterRoutes, { meters })
  const reads = createUsageReads({ postgres: app.postgres, meters, ensure: subscriptions.current, completeThrough })
  await app.register(usageReadRoutes, { reads })
  const coupons = createCouponsService(app)
  const accounts = createAccountsService({
    postgres: app.postgres,
    ensure: subscriptions.current,
    couponsOf: coupons.listFor,
  })
  await app.register(accountRoutes, { accounts })
  await app.register(couponRoutes, { redeem: coupons.redeem, readAccount: accounts.read })
  const assertOrganization = createAssertOrganization(app.postgres)
  await app.register(operatorRoutes, { catalog, changes, accounts, coupons, assertOrganization })
}
export default billingPlugin
