import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { Redis } from 'ioredis'
import type { StripeAccount } from '../../config.ts'
import type { Postgres } from '../../infra/postgres.ts'
import { createQuotas } from '../events/index.ts'
import { accountRoutes } from './accounts/routes.ts'
import { createAccountsService } from './accounts/service.ts'
import { createEvaluationService } from './alerts/evaluation/service.ts'
import { alertRoutes } from './alerts/routes.ts'
import { createAlertsService } from './alerts/service.ts'
import { createTouched } from './alerts/touched.ts'
import { backtestRoutes } from './backtest/routes.ts'
import { createBacktestService } from './backtest/service.ts'
import { catalogRoutes } from './catalog/routes.ts'
import type { CatalogService } from './catalog/service.ts'
import { couponRoutes } from './coupons/routes.ts'
import { createCouponsService } from './coupons/service.ts'
import { createIssuingService } from './invoices/issuing/service.ts'
import { invoiceRoutes } from './invoices/routes.ts'
import { createInvoicesService, questionOf } from './invoices/service.ts'
import { settlingRoutes } from './invoices/settling/routes.ts'
import { createSettlingService } from './invoices/settling/service.ts'
import { createVerifyingService } from './invoices/verifying/service.ts'
import { meterRoutes } from './meters/routes.ts'
import type { MetersService } from './meters/service.ts'
import { usageReadRoutes } from './meters/usage/routes.ts'
import { createUsageReads } from './meters/usage/service.ts'
import { planRoutes } from './operator/plans/routes.ts'
import { operatorRoutes } from './operator/routes.ts'
import { createAssertOrganization } from './operator/service.ts'
import { outlookRoutes } from './outlook/routes.ts'
import { createOutlookService, type OutlookDependencies } from './outlook/service.ts'
import { createSummaryService } from './outlook/summary/service.ts'
import { proofRoutes } from './proofs/routes.ts'
import type { ProofsService } from './proofs/service.ts'
import { createSpendPartsService } from './spend/parts/service.ts'
import { spendRoutes } from './spend/routes.ts'
import { createSpendService } from './spend/service.ts'
import { checkoutRoutes } from './stripe/checkout/routes.ts'
import { createCheckoutService } from './stripe/checkout/service.ts'
import { createStripeClient } from './stripe/client.ts'
import { stripeEventRoutes } from './stripe/events/routes.ts'
import { createStripeEventsService } from './stripe/events/service.ts'
import { createIntakeService } from './stripe/intake/service.ts'
import { createAccountLease } from './stripe/leasing/service.ts'
import { createChangesService } from './subscriptions/changes/service.ts'
import { subscriptionRoutes } from './subscriptions/routes.ts'
import type { SubscriptionsService } from './subscriptions/service.ts'

export { alertJobs, evaluateTouched } from './alerts/jobs.ts'
export { createBacktestService } from './backtest/service.ts'
export { type CatalogService, createCatalogService } from './catalog/service.ts'
export { type CouponsService, createCouponsService, type RedeemedCoupon } from './coupons/service.ts'
export { CHARGES_DUE, PERIOD_ENDED, QUOTA_POLICY_CHANGED, SUBSCRIPTION_CHANGED } from './fact-kinds.ts'
export { invoiceJobs } from './invoices/jobs.ts'
export { createVerifyingService } from './invoices/verifying/service.ts'
export { createLimitsService, type LimitsService } from './limits/service.ts'
export type { Usage, UsageQuestion } from './meters/question.ts'
export { createMetersService, type MetersService } from './meters/service.ts'
export { meterJobs } from './meters/windows/jobs.ts'
export { createMeterWindows, type MeterWindows } from './meters/windows/service.ts'
export { proofJobs } from './proofs/jobs.ts'
export { createProofsService, type ProofsService } from './proofs/service.ts'
export { createProofSigner } from './proofs/signing.ts'
export { openQuotas, quotaJobs } from './quota/jobs.ts'
export { openReconciliation, reconciliationJobs } from './reconciliation/jobs.ts'
export { PAYMENT_FAILED, STRIPE_INVOICE_GIVEN_UP, STRIPE_INVOICE_PAID } from './stripe/fact-kinds.ts'
export { stripeWebhook } from './stripe/intake/routes.ts'
export { openCollecting, openStripeWork, stripeFollowing, stripeJobs } from './stripe/jobs.ts'
export type { ProviderPorts } from './stripe/ports.ts'
export { type ChangesService, createChangesService } from './subscriptions/changes/service.ts'
export { subscriptionJobs } from './subscriptions/jobs.ts'
export type { QuotaPeriod, QuotaPolicy } from './subscriptions/quota.ts'
export {
  type BillingPeriod,
  type Clock,
  createSubscriptionsService,
  type SubscriptionsService,
} from './subscriptions/service.ts'

export type Invoices = ReturnType<typeof openInvoices>

type InvoicesDependencies = Parameters<typeof createIssuingService>[0] &
  Parameters<typeof createVerifyingService>[0] & { creditNotePrefix: string }

/** Invoices from their making to their end: what organizations see, what makes them, what settles them, and what proves them. */
export function openInvoices(dependencies: InvoicesDependencies) {
  return {
    ...createInvoicesService(dependencies),
    ...createIssuingService(dependencies),
    ...createSettlingService(dependencies),
    ...createVerifyingService(dependencies),
  }
}

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
    checkout: createCheckoutService({ stripe, postgres, catalog, inLease, clock }),
    intake: createIntakeService({ postgres, account, clock }),
  }
}

export type Alerts = ReturnType<typeof openAlerts>

interface AlertsDependencies extends Omit<OutlookDependencies, 'atDoor'> {
  postgres: Postgres
  redis: Redis
  shards: number
  meters: OutlookDependencies['meters'] & Pick<MetersService, 'parts'>
  invoices: Pick<Invoices, 'estimate'>
}

/** What organizations see of the period that is open, and what they are told of it. */
export function openAlerts(dependencies: AlertsDependencies) {
  const { postgres, redis, shards, subscriptions, meters, invoices, clock } = dependencies
  const { estimate } = invoices
  const outlook = createOutlookService({
    ...dependencies,
    atDoor: createQuotas({ redis, shards }).read,
  })
  const touched = createTouched(redis)
  const openPeriod = async (id: string) => (await subscriptions.current(id)).period
  return {
    touched,
    evaluate: createEvaluationService({ postgres, outlook, estimate }).evaluate,
    alerts: createAlertsService({ postgres, meters, outlook, touch: touched.mark, clock }),
    summary: createSummaryService({ outlook, estimate }),
    spend: createSpendService({ postgres, estimate }),
    parts: createSpendPartsService({ postgres, openPeriod, estimate, questionOf, parts: meters.parts }),
  }
}

interface BillingOptions {
  catalog: CatalogService
  subscriptions: SubscriptionsService
  meters: MetersService
  invoices: Invoices
  alerts: Alerts
  proofs: ProofsService
  completeThrough: (organizationId: string) => Promise<Date>
  /** Undefined where nobody pays through Stripe. */
  stripe: StripeProvider | undefined
  publicUrl: string
}

/** What there is to subscribe to and what it costs, and what each organization is on. */
const billingPlugin: FastifyPluginAsync<BillingOptions> = async (app, options) => {
  const { catalog, subscriptions, meters, completeThrough, stripe, publicUrl } = options
  await app.register(invoiceRoutes, { invoices: options.invoices, meters })
  await app.register(settlingRoutes, { settling: options.invoices })
  await app.register(catalogRoutes, { catalog })
  const changes = createChangesService({ subscriptions, catalog })
  await app.register(subscriptionRoutes, { changes })
  await app.register(checkoutRoutes, { checkout: stripe?.checkout, publicUrl })
  const events = createStripeEventsService({ postgres: app.postgres, clock: () => new Date() })
  await app.register(stripeEventRoutes, { events })
  await app.register(meterRoutes, { meters })
  const reads = createUsageReads({ postgres: app.postgres, meters, ensure: subscriptions.current, completeThrough })
  await app.register(usageReadRoutes, { reads })
  await app.register(outlookRoutes, options.alerts)
  await app.register(alertRoutes, options.alerts)
  await app.register(spendRoutes, options.alerts)
  const coupons = createCouponsService(app)
  const accounts = createAccountsService({
    postgres: app.postgres,
    ensure: subscriptions.current,
    couponsOf: coupons.listFor,
    whileUnsold: stripe?.checkout.whileUnsold ?? ((_organizationId, work) => work()),
  })
  await app.register(accountRoutes, { accounts })
  await app.register(proofRoutes, { proofs: options.proofs })
  const backtests = createBacktestService({ postgres: app.postgres, meters, plans: catalog })
  await app.register(backtestRoutes, { backtests, catalog })
  await app.register(couponRoutes, { redeem: coupons.redeem, readAccount: accounts.read })
  await app.register(planRoutes, { catalog })
  const assertOrganization = createAssertOrganization(app.postgres)
  await app.register(operatorRoutes, { catalog, changes, accounts, coupons, assertOrganization })
}
export default billingPlugin
