import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { StripeAccount } from '../../config.ts'
import { catalogRoutes } from './catalog/routes.ts'
import type { CatalogService } from './catalog/service.ts'
import { checkoutRoutes } from './stripe/checkout/routes.ts'
import { createCheckoutService } from './stripe/checkout/service.ts'
import { createStripeClient } from './stripe/client.ts'
import { createIntakeService } from './stripe/intake/service.ts'
import { createAccountLease } from './stripe/leasing/service.ts'

export { type CatalogService, createCatalogService } from './catalog/service.ts'
export { CHARGES_DUE, PERIOD_ENDED, QUOTA_POLICY_CHANGED, SUBSCRIPTION_CHANGED } from './fact-kinds.ts'
export { stripeWebhook } from './stripe/intake/routes.ts'
export { openStripeWork, stripeJobs } from './stripe/jobs.ts'
export type { ProviderPorts } from './stripe/ports.ts'
export { subscriptionJobs } from './subscriptions/jobs.ts'
export type { QuotaPeriod, QuotaPolicy } from './subscriptions/quota.ts'
export {
  type BillingPeriod,
  type Clock,
  createSubscriptionsService,
  type SubscriptionsService,
} from './subscriptions/service.ts'

interface StripeOptions {
  account: StripeAccount
  catalog: CatalogService
  clock?: () => Date
}

export type StripeProvider = ReturnType<typeof openStripe>

/** Payment through Stripe, for those who configure it: what people ask for, and what Stripe tells. */
export function openStripe(
  { postgres }: Pick<FastifyInstance, 'postgres'>,
  { account, catalog, clock = () => new Date() }: StripeOptions,
) {
  const stripe = createStripeClient(account)
  const inLease = createAccountLease({ postgres, clock })
  return {
    checkout: createCheckoutService({ stripe, postgres, catalog, inLease }),
    intake: createIntakeService({ postgres, account, clock }),
  }
}

interface BillingOptions {
  catalog: CatalogService
  /** Undefined where nobody pays through Stripe. */
  stripe: StripeProvider | undefined
  publicUrl: string
}

/** What there is to subscribe to and what it costs. */
const billingPlugin: FastifyPluginAsync<BillingOptions> = async (app, { catalog, stripe, publicUrl }) => {
  await app.register(catalogRoutes, { catalog })
  await app.register(checkoutRoutes, { checkout: stripe?.checkout, publicUrl })
}
export default billingPlugin
