import { type SQL, sql } from 'drizzle-orm'
import t from 'tap'
import { createCatalogService, createSubscriptionsService } from '../../src/domains/billing/index.ts'
import { newId } from '../../src/ids.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { startTestMailbox } from '../helpers/mailbox.ts'
import { flatPlan } from '../helpers/plans.ts'
import { sessionOf } from '../helpers/principals.ts'
import { signedEvent, startStripeDouble } from '../helpers/stripe-double.ts'
import { createTenant } from '../helpers/tenants.ts'

const double = await startStripeDouble(t)
const { state } = double
const mailbox = await startTestMailbox(t)
const { app, config } = await startTestApp(t, {
  ...double.environment,
  METERHOUSE_PUBLIC_URL: 'http://localhost:3000',
  METERHOUSE_SMTP_URL: mailbox.url,
})
const catalog = createCatalogService(app)
await catalog.createPlanVersion({ planKey: 'flat', baseVersion: 0, terms: flatPlan }, newId('usr'))
await catalog.offerPlan('flat', true)
const subscriptions = createSubscriptionsService({
  postgres: app.postgres,
  catalog,
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

t.test('what Stripe has collected is paid here, and a payment that fails is told once', async (t) => {
  const tenant = await createTenant(app.postgres, 'owner', { planKey: 'free' })
  const { organizationId } = tenant
  const answer = await app.inject(
    authorized(sessionOf(app, tenant.userId), {
      method: 'POST',
      url: `/v1/organizations/${organizationId}/billing/checkout`,
      payload: { planKey: 'flat' },
    }),
  )
  t.equal(answer.statusCode, 200)
  let told = state.events.length
  const tell = async () => {
    for (; told < state.events.length; told++) {
      // Stripe delivers at least once.
      for (let times = 0; times < 3; times++) await app.inject(signedEvent(state.events[told] ?? {}))
    }
  }
  const session = state.list('checkout.session').find((one) => one.client_reference_id === organizationId)
  const { id, customer } = state.completeCheckout(session?.id ?? '')
  await tell()
  const rowsOf = async (query: SQL) => (await app.postgres.withTenant(organizationId, (tx) => tx.execute(query))).rows
  const [paid] = await eventually('the invoice is paid', async () => {
    const rows = await rowsOf(sql`select p.reference, p.amount::text as amount from payments p join invoices i
      on i.organization_id = p.organization_id and i.id = p.invoice_id where i.status = 'paid'`)
    return rows.length > 0 && rows
  })
  const theirs = state.list('invoice').filter((one) => one.customer === customer)
  t.same(paid, { reference: theirs[0]?.id, amount: '10001' })
  state.renew(id, { isDeclined: true })
  await tell()
  const to = tenant.email
  const subject = /payment .* has failed/
  const mail = await mailbox.next(to, 1, subject)
  t.match(mail.text, /could not collect 100\.01 USD/)
  const entries = await rowsOf(sql`select target_id, after from audit_entries where action = 'billing.payment_failed'`)
  const [, failed] = state.list('invoice').filter((one) => one.customer === customer)
  t.match(entries, [{ target_id: failed?.id, after: { attempts: 1, total: '10001', currency: 'USD' } }])
  t.equal(entries.length, 1)
  t.equal(mailbox.about(to, subject).length, 1)
})
