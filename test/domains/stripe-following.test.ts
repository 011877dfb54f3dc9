import t from 'tap'
import { createCatalogService, createSubscriptionsService } from '../../src/domains/billing/index.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { sessionOf } from '../helpers/principals.ts'
import { signedEvent, startStripeDouble } from '../helpers/stripe-double.ts'
import { createTenant } from '../helpers/tenants.ts'

const double = await startStripeDouble(t)
const { state } = double
const { app, config } = await startTestApp(t, { ...double.environment, METERHOUSE_PUBLIC_URL: 'http://localhost:3000' })
const subscriptions = createSubscriptionsService({
  postgres: app.postgres,
  catalog: createCatalogService(app),
  ...config.billing,
})

t.test('who pays at Stripe is on the plan, and who cancels there is on the default plan again', async (t) => {
  const tenant = await createTenant(app.postgres, 'owner', { planKey: 'free' })
  const other = await createTenant(app.postgres, 'owner', { planKey: 'free' })
  const answer = await app.inject(
    authorized(sessionOf(app, tenant.userId), {
      method: 'POST',
      url: `/v1/organizations/${tenant.organizationId}/billing/checkout`,
      payload: { planKey: 'pro' },
    }),
  )
  t.equal(answer.statusCode, 200)
  let told = state.events.length
  const tell = async () => {
    for (; told < state.events.length; told++) {
      const event = state.events[told]
      if (event) t.equal((await app.inject(signedEvent(event))).statusCode, 200)
    }
  }
  const reach = (planKey: string, status: string) =>
    eventually(`${planKey} ${status}`, async () => {
      const { subscription, plan } = await subscriptions.current(tenant.organizationId)
      return plan.key === planKey && subscription.status === status && subscription
    })
  const [session] = state.list('checkout.session')
  const bought = state.completeCheckout(session?.id ?? '')
  await tell()
  const trialing = await reach('pro', 'trialing')
  t.match(trialing, { provider: 'stripe', stripeSubscriptionId: bought.id })
  state.clock.seconds += 10
  state.cancel(bought.id)
  await tell()
  t.match(await reach('free', 'active'), { provider: 'manual' })
  t.match((await subscriptions.current(other.organizationId)).plan, { key: 'free' }, 'nobody else notices')
})
