import { eq, sql } from 'drizzle-orm'
import t from 'tap'
import { openStripeWork } from '../../src/domains/billing/index.ts'
import {
  stripeAccounts,
  stripeEvents,
  stripeInvoices,
  stripeSubscriptions,
} from '../../src/domains/billing/stripe/tables.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { addMember, sessionOf } from '../helpers/principals.ts'
import { randomOf, STRIPE_SECRET, signedEvent, startStripeDouble } from '../helpers/stripe-double.ts'
import { makeEntitlementTables, recordEntitlements } from '../helpers/stripe-entitlements.ts'
import type { StripeEvent } from '../helpers/stripe-state.ts'
import { createTenant, createTwoTenants } from '../helpers/tenants.ts'

const SECOND_SECRET = 'whsec_another_secret_of_the_double'
const double = await startStripeDouble(t)
const { state } = double
const { app, config, postgresOwnerUrl } = await startTestApp(t, {
  ...double.environment,
  METERHOUSE_ROLES: 'api',
  METERHOUSE_STRIPE_WEBHOOK_SECRETS: `${SECOND_SECRET},${STRIPE_SECRET}`,
})
await makeEntitlementTables(postgresOwnerUrl)
const account = config.stripe
if (!account) throw new Error('Stripe is not configured')
const time = { aheadMs: 0 }
const { processing, sweep } = openStripeWork(app, {
  account,
  ports: recordEntitlements,
  clock: () => new Date(Date.now() + time.aheadMs),
})
const MINUTE_MS = 60_000

async function work(): Promise<void> {
  while ((await processing.step()) > 0);
}
/** Until nothing is put off anymore. */
async function workThrough(minutes: number): Promise<void> {
  for (let minute = 0; minute <= minutes; minute++) {
    await work()
    time.aheadMs += MINUTE_MS
  }
}
const deliver = (event: StripeEvent | Record<string, unknown>, options = {}) => app.inject(signedEvent(event, options))
const eventOf = async (id: string) => {
  const [row] = await app.postgres.withSystem((tx) => tx.select().from(stripeEvents).where(eq(stripeEvents.id, id)))
  return row
}
const stored = (organizationId: string) =>
  app.postgres.withTenant(organizationId, async (tx) => ({
    subscriptions: await tx.select().from(stripeSubscriptions),
    invoices: await tx.select().from(stripeInvoices),
    entitled: (await tx.execute(sql`select * from test_entitlements where organization_id = ${organizationId}`)).rows,
    payments: (await tx.execute(sql`select * from test_payments where organization_id = ${organizationId}`)).rows,
  }))

async function makeCustomer(organizationId: string): Promise<string> {
  const customerId = state.put('cus', 'customer', { metadata: { organizationId } }).id
  await app.postgres.withTenant(organizationId, (tx) =>
    tx.insert(stripeAccounts).values({ organizationId, customerId }),
  )
  return customerId
}
const price = state.put('price', 'price', {
  unit_amount_decimal: '4900',
  metadata: { planKey: 'pro', planVersion: '1', isCustom: 'false' },
}).id
/** Somebody buys; the events are not delivered. */
function subscribe(customer: string, { trialDays = 0 } = {}) {
  const session = state.put('cs_test', 'checkout.session', {
    customer,
    status: 'open',
    priceIds: [price],
    trialDays,
    metadata: {},
  })
  return state.completeCheckout(session.id)
}
const eventsSince = (count: number) => state.events.slice(count)

t.test('an event without our signature, or with one that is older than five minutes, is refused', async (t) => {
  const [{ organizationId }] = await createTwoTenants(app)
  const before = state.events.length
  subscribe(await makeCustomer(organizationId))
  const [event] = eventsSince(before)
  if (!event) throw new Error('nothing happened')
  const nowSeconds = Math.floor(Date.now() / 1000)
  const good = signedEvent(event)
  const bad = {
    'another secret': signedEvent(event, { secret: 'whsec_of_somebody_else_entirely' }),
    'a stale timestamp': signedEvent(event, { timestamp: nowSeconds - 301 }),
    'another body': { ...good, payload: good.payload.replace('"active"', '"canceled"').replace('evt_', 'evx_') },
    'no signature': { ...good, headers: { 'content-type': 'application/json' } },
    'an empty signature': { ...good, headers: { ...good.headers, 'stripe-signature': '' } },
    'a signature of another scheme': {
      ...good,
      headers: { ...good.headers, 'stripe-signature': good.headers['stripe-signature'].replace('v1=', 'v0=') },
    },
    'no body': { ...good, payload: '' },
  }
  for (const [what, request] of Object.entries(bad)) {
    const answer = await app.inject(request)
    t.match(answer.json(), { status: 400 }, what)
    t.notMatch(answer.body, /whsec/)
  }
  t.equal(await eventOf(event.id), undefined)
  t.equal((await app.inject(signedEvent(event, { timestamp: nowSeconds - 290 }))).statusCode, 200)
  t.match(await eventOf(event.id), { status: 'pending' })
})

t.test('an event of the other mode is refused', async (t) => {
  const event = {
    id: 'evt_live',
    object: 'event',
    type: 'invoice.paid',
    created: 1,
    livemode: true,
    api_version: null,
    data: { object: { id: 'in_1' } },
  }
  t.match((await deliver(event)).json(), { status: 400, code: 'billing.webhook_refused' })
  t.equal(await eventOf('evt_live'), undefined)
})

t.test('while secrets are rotated either signs', async (t) => {
  const event = (id: string) => ({
    id,
    object: 'event',
    type: 'ping',
    created: 1,
    livemode: false,
    api_version: null,
    data: { object: {} },
  })
  t.equal((await deliver(event('evt_old'), { secret: STRIPE_SECRET })).statusCode, 200)
  t.equal((await deliver(event('evt_new'), { secret: SECOND_SECRET })).statusCode, 200)
  t.match([await eventOf('evt_old'), await eventOf('evt_new')], [{ status: 'ignored' }, { status: 'ignored' }])
})

t.test(
  'an event is only a reason to look: what Stripe says now is stored, once, and only for its organization',
  async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    const before = state.events.length
    const subscription = subscribe(await makeCustomer(alpha.organizationId))
    await makeCustomer(beta.organizationId)
    state.cancel(subscription.id)
    const events = eventsSince(before)
    // The last comes first, and each three times.
    for (const event of [...events].reverse().flatMap((one) => [one, one, one]))
      t.equal((await deliver(event)).statusCode, 200)
    await work()
    const { subscriptions, invoices, entitled, payments } = await stored(alpha.organizationId)
    t.match(subscriptions, [{ id: subscription.id, status: 'canceled', planKey: 'pro', planVersion: 1 }])
    t.match(invoices, [{ status: 'paid', total: 4900n, amountPaid: 4900n }])
    t.match(entitled, [{ status: 'canceled' }])
    t.hasStrict(payments, [{ total: '4900', count: 1 }])
    for (const event of events) t.match(await eventOf(event.id), { status: 'done', attempts: 0 })
    t.match(await stored(beta.organizationId), { subscriptions: [], invoices: [], entitled: [], payments: [] })
  },
)

t.test('older events than what was read lead to nothing, and cost Stripe no request', async (t) => {
  const { organizationId } = await createTenant(app.postgres)
  const before = state.events.length
  const { id } = subscribe(await makeCustomer(organizationId))
  state.clock.seconds += 10
  state.wantCancel(id, true)
  const ofObject = eventsSince(before).filter(({ data }) => data.object.id === id)
  const [older, newer] = ofObject
  await deliver(newer as StripeEvent)
  await work()
  const reads = double.count('GET', `/v1/subscriptions/${id}`)
  await deliver(older as StripeEvent)
  await work()
  t.match(await eventOf((older as StripeEvent).id), { status: 'done' })
  t.equal(double.count('GET', `/v1/subscriptions/${id}`), reads)
  t.match((await stored(organizationId)).subscriptions, [{ cancelAtPeriodEnd: true }])
})

t.test('whoever read before another and writes after it changes nothing', async (t) => {
  const { organizationId } = await createTenant(app.postgres)
  const before = state.events.length
  const { id } = subscribe(await makeCustomer(organizationId))
  const [created] = eventsSince(before).filter(({ data }) => data.object.id === id)
  await deliver(created as StripeEvent)
  // The first reader has its answer on the way for so long that its lease runs out.
  let isFirst = true
  double.knobs.trouble = (_method, path) => {
    if (path !== `/v1/subscriptions/${id}` || !isFirst) return undefined
    isFirst = false
    return { lateMs: 400 }
  }
  const slow = processing.step()
  while (isFirst) await new Promise((resolve) => setImmediate(resolve))
  time.aheadMs += MINUTE_MS
  state.clock.seconds += 10
  state.wantCancel(id, true)
  await work()
  t.match((await stored(organizationId)).subscriptions, [{ cancelAtPeriodEnd: true }])
  await slow
  double.knobs.trouble = () => undefined
  t.match((await stored(organizationId)).subscriptions, [{ cancelAtPeriodEnd: true }], 'the old answer is not stored')
})

t.test('an end is final, whatever Stripe says for a while', async (t) => {
  const { organizationId } = await createTenant(app.postgres)
  const before = state.events.length
  const subscription = subscribe(await makeCustomer(organizationId))
  state.cancel(subscription.id)
  for (const event of eventsSince(before)) await deliver(event)
  await work()
  subscription.status = 'active'
  state.clock.seconds += 10
  state.emit('customer.subscription.updated', subscription)
  await deliver(state.events.at(-1) as StripeEvent)
  await work()
  t.match((await stored(organizationId)).subscriptions, [{ status: 'canceled' }])
  t.match(await eventOf(state.events.at(-1)?.id ?? ''), { status: 'pending', attempts: 1 })
  subscription.status = 'canceled'
  await workThrough(2)
  t.match(await eventOf(state.events.at(-1)?.id ?? ''), { status: 'done' })
})

t.test('an outage is waited out, and what never works is set aside', async (t) => {
  const { organizationId } = await createTenant(app.postgres)
  const before = state.events.length
  const { id } = subscribe(await makeCustomer(organizationId))
  const [event] = eventsSince(before).filter(({ data }) => data.object.id === id)
  await deliver(event as StripeEvent)
  double.knobs.trouble = () => ({ status: 503 })
  await workThrough(2)
  t.match(await eventOf(event?.id ?? ''), { status: 'pending', attempts: 0, error: 'stripe 503 StripeAPIError' })
  const poison = { ...event, id: 'evt_poison', data: { object: { id: 'sub_nothing', object: 'subscription' } } }
  double.knobs.trouble = () => undefined
  await deliver(poison)
  await workThrough(60)
  t.match(await eventOf(event?.id ?? ''), { status: 'done' })
  t.match(await eventOf('evt_poison'), { status: 'dead', attempts: 10, error: 'stripe 404 resource_missing' })
})

t.test(
  'the operator finds what was set aside and has it processed again, once; it stands in the audit log',
  async (t) => {
    const [tenant, outsider] = await createTwoTenants(app)
    const { organizationId } = tenant
    const operatorId = await addMember(app, outsider, 'viewer')
    await app.postgres.withSystem((tx) => tx.execute(sql`update users set is_operator = true where id = ${operatorId}`))
    const as = (userId: string, method: 'GET' | 'POST', path: string) =>
      app.inject(authorized(sessionOf(app, userId), { method, url: `/v1/admin/stripe/events${path}` }))
    const subscription = subscribe(await makeCustomer(organizationId))
    for (const event of state.events) if (event.data.object.id === subscription.id) await deliver(event)
    await work()
    const kept = state.get(subscription.id)
    state.objects.delete(subscription.id)
    await deliver({
      ...(state.events.at(-1) as StripeEvent),
      id: 'evt_lost',
      created: state.clock.seconds + 99,
      data: { object: kept },
    })
    await workThrough(60)
    state.objects.set(subscription.id, kept)
    const listed = (await as(operatorId, 'GET', '')).json<{
      data: { id: string; error: string }[]
      nextCursor: string | null
    }>()
    t.match(
      listed.data.find(({ id }) => id === 'evt_lost'),
      { status: 'dead', error: 'stripe 404 resource_missing' },
    )
    const [first, second] = listed.data
    const page = (await as(operatorId, 'GET', '?limit=1')).json()
    t.match(page, { data: [{ id: first?.id }], nextCursor: first?.id })
    t.match((await as(operatorId, 'GET', `?limit=1&cursor=${first?.id}`)).json(), { data: [{ id: second?.id }] })
    t.equal((await as(tenant.userId, 'POST', '/evt_lost/replay')).statusCode, 404)
    t.match(await eventOf('evt_lost'), { status: 'dead' })
    t.match((await as(operatorId, 'POST', '/evt_lost/replay')).json(), {
      id: 'evt_lost',
      status: 'pending',
      attempts: 0,
    })
    t.equal((await as(operatorId, 'POST', '/evt_lost/replay')).statusCode, 404, 'it is not dead any more')
    await workThrough(2)
    t.match(await eventOf('evt_lost'), { status: 'done' })
    const { rows } = await app.postgres.withTenant(organizationId, (tx) =>
      tx.execute(sql`select actor_id, target_id from audit_entries where action = 'billing.stripe_event_replayed'`),
    )
    t.match(rows, [{ target_id: 'evt_lost' }])
    t.equal(rows.length, 1)
  },
)

t.test('what belongs to no organization is left alone', async (t) => {
  const before = state.events.length
  subscribe(state.put('cus', 'customer', {}).id)
  for (const event of eventsSince(before)) await deliver(event)
  await work()
  const ofObjects = eventsSince(before).filter(({ type }) => !type.startsWith('checkout.'))
  for (const event of ofObjects) t.match(await eventOf(event.id), { status: 'ignored' })
})

t.test('a payment that fails is a fact, once for each try', async (t) => {
  const { organizationId } = await createTenant(app.postgres)
  const before = state.events.length
  const { id } = subscribe(await makeCustomer(organizationId))
  state.clock.seconds += 10
  state.renew(id, { isDeclined: true })
  for (const event of eventsSince(before).flatMap((one) => [one, one])) await deliver(event)
  await work()
  const facts = () =>
    app.postgres.withTenant(organizationId, async (tx) => {
      const { rows } = await tx.execute(sql`select payload from outbox where kind = 'billing.payment_failed'`)
      return rows
    })
  t.equal((await facts()).length, 1)
  t.match((await stored(organizationId)).entitled, [{ status: 'past_due' }])
})

t.test('of two subscriptions the older one that lives says what may be used', async (t) => {
  const { organizationId } = await createTenant(app.postgres)
  const before = state.events.length
  const customer = await makeCustomer(organizationId)
  const first = subscribe(customer)
  state.clock.seconds += 10
  const second = subscribe(customer)
  for (const event of eventsSince(before)) await deliver(event)
  await work()
  t.match((await stored(organizationId)).entitled, [{ subscription_id: first.id, status: 'active' }])
  state.clock.seconds += 10
  state.cancel(first.id)
  await deliver(state.events.at(-1) as StripeEvent)
  await work()
  t.match((await stored(organizationId)).entitled, [{ subscription_id: second.id, status: 'active' }])
})

t.test('a customer that Stripe has deleted is forgotten', async (t) => {
  const { organizationId } = await createTenant(app.postgres)
  const customer = await makeCustomer(organizationId)
  const before = state.events.length
  state.deleteCustomer(customer)
  for (const event of eventsSince(before)) await deliver(event)
  await work()
  const [row] = await app.postgres.withTenant(organizationId, (tx) => tx.select().from(stripeAccounts))
  t.match(row, { customerId: null, customerNumber: 2 })
})

t.test('when a fifth of the events never arrives, the sweep finds all of them', async (t) => {
  const random = randomOf(20)
  const tenants = await Promise.all(Array.from({ length: 12 }, () => createTenant(app.postgres)))
  const before = state.events.length
  for (const { organizationId } of tenants) {
    const { id } = subscribe(await makeCustomer(organizationId))
    state.clock.seconds += 60
    state.renew(id, { isDeclined: random() < 0.5 })
    if (random() < 0.5) state.cancel(id)
  }
  const events = eventsSince(before)
  const kept = events.filter(() => random() >= 0.2)
  t.ok(kept.length < events.length)
  for (const event of kept) await deliver(event)
  await work()
  const found = await sweep.sweep()
  t.ok(found.events >= events.length - kept.length)
  await work()
  for (const { organizationId } of tenants) {
    const { subscriptions, invoices } = await stored(organizationId)
    for (const { id, status } of subscriptions) t.equal(status, state.get(id).status)
    t.equal(subscriptions.length, 1)
    for (const { id, status } of invoices) t.equal(status, state.get(id).status)
    t.equal(invoices.length, 2)
  }
  t.same(await sweep.sweep(), { events: 0, subscriptions: 0 }, 'and then there is nothing more to find')
})

t.test('a subscription of which no event is left is found by looking at all of them', async (t) => {
  const { organizationId } = await createTenant(app.postgres)
  const { id } = subscribe(await makeCustomer(organizationId))
  state.events.length = 0
  t.match(await sweep.sweep(), { events: 0, subscriptions: 1 })
  await work()
  t.match((await stored(organizationId)).subscriptions, [{ id, status: 'active' }])
})
