import { type SQL, sql } from 'drizzle-orm'
import t from 'tap'
import { createCatalogService, createSubscriptionsService } from '../../src/domains/billing/index.ts'
import { newId } from '../../src/ids.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { startTestMailbox } from '../helpers/mailbox.ts'
import { flatPlan } from '../helpers/plans.ts'
import { sessionOf } from '../helpers/principals.ts'
import { signedEvent, startStripeDouble } from '../helpers/stripe-double.ts'
import type { StripeObject } from '../helpers/stripe-state.ts'
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
const make = () => createTenant(app.postgres, 'owner', { planKey: 'free' })
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
  t.hasStrict(entries, [{ target_id: failed?.id, after: { attempts: 1, total: '10001', currency: 'USD' } }])
  t.equal(entries.length, 1)
  t.equal(mailbox.about(to, subject).length, 1)
})

t.test('what Stripe gives up and then voids is given up and void here, each told once', async (t) => {
  const [tenant, other] = [await make(), await make()]
  const bought = [tenant, other].map(({ organizationId }) => organizationId)
  for (const { userId, organizationId } of [tenant, other]) {
    const url = `/v1/organizations/${organizationId}/billing/checkout`
    const payload = { planKey: 'flat' }
    t.equal((await app.inject(authorized(sessionOf(app, userId), { method: 'POST', url, payload }))).statusCode, 200)
  }
  let told = state.events.length
  const theirs = bought.map((organizationId) => {
    const session = state.list('checkout.session').find((one) => one.client_reference_id === organizationId)
    const { customer } = state.completeCheckout(session?.id ?? '')
    const invoice = state.list('invoice').find((one) => one.customer === customer)
    // The bank has taken the money back before anybody was told.
    return Object.assign(invoice as StripeObject, { status: 'open', amount_paid: 0 })
  })
  const tell = async () => {
    for (; told < state.events.length; told++)
      for (let times = 0; times < 2; times++) await app.inject(signedEvent(state.events[told] ?? {}))
  }
  const statusesOf = async (organizationId: string) =>
    (
      await app.postgres.withTenant(organizationId, (tx) =>
        tx.execute<{ status: string }>(sql`select status from invoices where status <> 'draft'`),
      )
    ).rows.map(({ status }) => status)
  const reach = (organizationId: string, status: string) =>
    eventually(status, async () => (await statusesOf(organizationId)).join() === status)
  await tell()
  for (const organizationId of bought) await reach(organizationId, 'open')
  const [mine = '', others = ''] = bought
  const id = theirs[0]?.id ?? ''
  for (const [act, status] of [
    [state.giveUpInvoice, 'uncollectible'],
    [state.voidInvoice, 'void'],
  ] as const) {
    state.clock.seconds += 10
    act(id)
    await tell()
    await reach(mine, status)
  }
  state.clock.seconds += 10
  state.emit('invoice.updated', state.get(id))
  await tell()
  const facts = () =>
    app.postgres.withTenant(mine, async (tx) => {
      const { rows } = await tx.execute<{ kind: string }>(sql`
        select kind from outbox
        where kind in ('billing.stripe_invoice_given_up', 'invoice.uncollectible', 'invoice.voided') order by created_at`)
      return rows
    })
  await eventually('the events are worked off', async () => {
    const { rows } = await app.postgres.withSystem((tx) =>
      tx.execute(sql`select 1 from stripe_events where object_id = ${id} and status = 'pending'`),
    )
    return rows.length === 0
  })
  t.same(
    (await facts()).map(({ kind }) => kind),
    [
      ...['billing.stripe_invoice_given_up', 'invoice.uncollectible'],
      ...['billing.stripe_invoice_given_up', 'invoice.voided'],
    ],
  )
  t.same(await statusesOf(others), ['open'])
})
