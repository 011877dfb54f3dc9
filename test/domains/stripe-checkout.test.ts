import { eq } from 'drizzle-orm'
import t from 'tap'
import { createAuditService } from '../../src/domains/audit/index.ts'
import { createCatalogService } from '../../src/domains/billing/index.ts'
import { stripeAccounts } from '../../src/domains/billing/stripe/tables.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { makeMember, sessionOf } from '../helpers/principals.ts'
import { startStripeDouble } from '../helpers/stripe-double.ts'
import { createTenant, createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const double = await startStripeDouble(t)
const { app } = await startTestApp(t, {
  ...double.environment,
  METERHOUSE_ROLES: 'api',
  METERHOUSE_PUBLIC_URL: 'http://localhost:3000',
})

const buy = (tenant: TestTenant, payload: object = { planKey: 'pro' }, userId = tenant.userId) =>
  app.inject(
    authorized(sessionOf(app, userId), {
      method: 'POST',
      url: `/v1/organizations/${tenant.organizationId}/billing/checkout`,
      payload,
    }),
  )
const portal = (tenant: TestTenant, payload: object = {}) =>
  app.inject(
    authorized(sessionOf(app, tenant.userId), {
      method: 'POST',
      url: `/v1/organizations/${tenant.organizationId}/billing/portal`,
      payload,
    }),
  )
const accountOf = async ({ organizationId }: TestTenant) => {
  const [row] = await app.postgres.withTenant(organizationId, (tx) =>
    tx.select().from(stripeAccounts).where(eq(stripeAccounts.organizationId, organizationId)),
  )
  if (!row) throw new Error('no account')
  return row
}
const sessionsOf = ({ organizationId }: TestTenant) =>
  double.state.list('checkout.session').filter((one) => one.client_reference_id === organizationId)
const openSessionOf = (tenant: TestTenant) => {
  const open = sessionsOf(tenant).filter(({ status }) => status === 'open')
  if (open.length !== 1) throw new Error(`${open.length} sessions are open`)
  return open[0]?.id ?? ''
}
t.afterEach(() => {
  double.knobs.trouble = () => undefined
})

t.test('50 clicks at once make one customer and one session, and after paying none makes another', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const answers = await Promise.all(Array.from({ length: 50 }, () => buy(alpha)))
  t.same([...new Set(answers.map(({ statusCode }) => statusCode))], [200])
  t.equal(new Set(answers.map((answer) => answer.json().url)).size, 1, 'all are sent to the same page')
  t.equal(sessionsOf(alpha).length, 1)
  t.equal(
    double.state
      .list('customer')
      .filter(({ metadata }) => (metadata as { organizationId: string }).organizationId === alpha.organizationId)
      .length,
    1,
  )
  t.equal((await buy(beta)).statusCode, 200)
  t.not(openSessionOf(beta), openSessionOf(alpha))
  double.state.completeCheckout(openSessionOf(alpha))
  // Nobody has told us yet: the click itself finds out.
  const late = await Promise.all(Array.from({ length: 20 }, () => buy(alpha)))
  for (const answer of late) t.match(answer.json(), { status: 409, code: 'billing.already_subscribed' })
  t.equal(sessionsOf(alpha).length, 1)
  const subscriptions = double.state
    .list('subscription')
    .filter(({ metadata }) => (metadata as { organizationId: string }).organizationId === alpha.organizationId)
  t.equal(subscriptions.length, 1)
})

t.test('the customer is known before anybody is sent to pay, and the purchase is in the audit log', async (t) => {
  const tenant = await createTenant(app.postgres)
  t.equal((await buy(tenant)).statusCode, 200)
  const session = double.state.get(openSessionOf(tenant))
  t.equal((await accountOf(tenant)).customerId, session.customer)
  const { data } = await createAuditService(app).list({ organizationId: tenant.organizationId }, { limit: 5 })
  t.match(data[0], {
    action: 'billing.checkout_started',
    target: { kind: 'plan', id: 'pro' },
    actor: { id: tenant.userId },
  })
})

t.test('an answer of Stripe that gets lost is asked for again, not a second session', async (t) => {
  const tenant = await createTenant(app.postgres)
  let lost = 0
  double.knobs.trouble = (method, path) =>
    method === 'POST' && path === '/v1/checkout/sessions' && lost++ < 3 ? 'lost' : undefined
  t.match((await buy(tenant)).json(), { status: 503, code: 'billing.stripe_unavailable' })
  t.equal(sessionsOf(tenant).length, 1, 'Stripe has made one that nobody has seen')
  const answer = await buy(tenant)
  t.equal(answer.statusCode, 200)
  t.equal(sessionsOf(tenant).length, 1)
  t.match(answer.json().url, openSessionOf(tenant))
})

t.test('a purchase that Stripe has refused does not stand in the way of the next', async (t) => {
  const tenant = await createTenant(app.postgres)
  let refused = 0
  double.knobs.trouble = (method, path) =>
    method === 'POST' && path === '/v1/checkout/sessions' && refused++ === 0 ? { status: 402 } : undefined
  const answer = await buy(tenant)
  t.match(answer.json(), { status: 502, code: 'billing.stripe_refused' })
  t.notMatch(answer.body, /sk_test|Something went wrong/, 'nothing of Stripe is repeated')
  t.equal((await buy(tenant)).statusCode, 200)
})

t.test('to buy something else closes the page that was open', async (t) => {
  const tenant = await createTenant(app.postgres)
  await buy(tenant)
  const first = openSessionOf(tenant)
  t.equal((await buy(tenant, { planKey: 'pro', successUrl: '/thanks' })).statusCode, 200)
  t.equal(double.state.get(first).status, 'expired')
  t.not(openSessionOf(tenant), first)
})

t.test('who comes back after the subscription has ended buys anew, without a second trial', async (t) => {
  const tenant = await createTenant(app.postgres)
  await buy(tenant)
  const subscription = double.state.completeCheckout(openSessionOf(tenant))
  t.equal(subscription.status, 'trialing')
  double.state.cancel(subscription.id)
  t.equal((await buy(tenant)).statusCode, 200)
  t.equal(sessionsOf(tenant).length, 2)
  t.equal(double.state.completeCheckout(openSessionOf(tenant)).status, 'active')
})

t.test('people come back to this server and to no other', async (t) => {
  const tenant = await createTenant(app.postgres)
  const elsewhere = [
    'https://evil.example/',
    '//evil.example/',
    'http://localhost:3000@evil.example/',
    '\\\\evil.example',
    'javascript:alert(1)',
    'http://localhost:3001/',
  ]
  for (const url of elsewhere) {
    t.match(
      (await buy(tenant, { planKey: 'pro', successUrl: url })).json(),
      { status: 400, errors: [{ path: '/successUrl' }] },
      url,
    )
    t.match(
      (await buy(tenant, { planKey: 'pro', cancelUrl: url })).json(),
      { status: 400, errors: [{ path: '/cancelUrl' }] },
      url,
    )
    t.match((await portal(tenant, { returnUrl: url })).json(), { status: 400, errors: [{ path: '/returnUrl' }] }, url)
  }
  t.equal(
    (await buy(tenant, { planKey: 'pro', successUrl: '/thanks?a=1', cancelUrl: 'http://localhost:3000/no' }))
      .statusCode,
    200,
  )
  const asked = double.requests.findLast(({ path }) => path === '/v1/checkout/sessions')
  t.match(asked?.form, { success_url: /^http:\/\/[^/]+\/thanks\?a=1$/, cancel_url: 'http://localhost:3000/no' })
})

t.test('what cannot be bought is refused, and what is not offered is not there', async (t) => {
  const tenant = await createTenant(app.postgres)
  t.match((await buy(tenant, { planKey: 'free' })).json(), { status: 409, code: 'billing.plan_not_sold' })
  t.match((await buy(tenant, { planKey: 'enterprise' })).json(), { status: 409, code: 'billing.plan_not_sold' })
  t.match((await buy(tenant, { planKey: 'nothing' })).json(), { status: 404, code: 'billing.plan_not_found' })
  t.match((await portal(tenant)).json(), { status: 409, code: 'billing.no_customer' })
})

t.test('the portal is that of the own customer', async (t) => {
  const tenant = await createTenant(app.postgres)
  await buy(tenant)
  t.match((await portal(tenant)).json(), { url: /^https:\/\/billing\.stripe\.com\// })
  const asked = double.requests.findLast(({ path }) => path === '/v1/billing_portal/sessions')
  t.equal(asked?.form.customer, (await accountOf(tenant)).customerId)
  const viewer = await makeMember(app, tenant, 'viewer')
  const url = `/v1/organizations/${tenant.organizationId}/billing/portal`
  t.equal((await app.inject(authorized(viewer, { method: 'POST', url, payload: {} }))).statusCode, 403)
})

t.test('prices at Stripe are made once, and say what the plan says', async (t) => {
  const prices = double.state
    .list('price')
    .filter(({ lookup_key }) => String(lookup_key).startsWith('meterhouse:pro:v1'))
  t.match(
    prices.sort((a, b) => String(a.lookup_key).localeCompare(String(b.lookup_key))),
    [
      {
        lookup_key: 'meterhouse:pro:v1:base',
        unit_amount_decimal: /^4900$/,
        currency: 'usd',
        recurring: { interval: 'month' },
      },
      {
        lookup_key: 'meterhouse:pro:v1:events',
        billing_scheme: 'tiered',
        tiers_mode: 'graduated',
        recurring: { interval: 'month', usage_type: 'metered', meter: /^mtr_/ },
        tiers: {
          0: { up_to: /^5000000$/, unit_amount_decimal: /^0$/ },
          1: { up_to: /^15000000$/, unit_amount_decimal: /^0\.0012$/ },
          2: { up_to: /^100000000$/, unit_amount_decimal: /^0\.0008$/ },
          3: { up_to: 'inf', unit_amount_decimal: /^0\.0004$/ },
        },
      },
    ],
  )
  t.equal(prices.length, 2)
  const catalog = createCatalogService(app)
  t.hasStrict((await catalog.readPlan('pro')).metered[0]?.price, {
    included: '5000000',
    tiers: [{ upTo: '10000000' }, { upTo: '95000000' }, {}],
  })
})

t.test('without Stripe nothing is sold and nobody is heard', async (t) => {
  const { app } = await startTestApp(t)
  const tenant = await createTenant(app.postgres)
  const request = (path: string, payload: object) =>
    app.inject(
      authorized(sessionOf(app, tenant.userId), {
        method: 'POST',
        url: `/v1/organizations/${tenant.organizationId}/billing/${path}`,
        payload,
      }),
    )
  t.match((await request('checkout', { planKey: 'pro' })).json(), { status: 409, code: 'billing.stripe_missing' })
  t.match((await request('portal', {})).json(), { status: 409, code: 'billing.stripe_missing' })
  t.equal((await app.inject({ method: 'POST', url: '/v1/stripe/webhook', payload: {} })).statusCode, 404)
})
