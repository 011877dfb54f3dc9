import t, { type Test } from 'tap'
import type { CouponTerms } from '../../src/domains/billing/coupons/schemas.ts'
import { createChangesService, createCouponsService } from '../../src/domains/billing/index.ts'
import type { InvoiceDocument } from '../../src/domains/billing/invoices/document.ts'
import type { Acting } from '../../src/http/acting.ts'
import { newId } from '../../src/ids.ts'
import { armFailpoints } from '../../src/infra/failpoints.ts'
import { DAY_MS, HOUR_MS, startBillingWorld } from '../helpers/billing-world.ts'
import { flatPlan } from '../helpers/plans.ts'
import type { TestTenant } from '../helpers/tenants.ts'

const world = await startBillingWorld(t, '2026-01-01T00:00:00Z')
const { invoices, postgres, catalog, subscriptions } = world
const coupons = createCouponsService({ postgres, clock: world.now })
const changes = createChangesService({ subscriptions, catalog })
const by: Acting = {
  principal: { kind: 'session', userId: newId('usr'), sessionId: newId('ses'), expiresAtMs: 0 },
  ip: '127.0.0.1',
  userAgent: undefined,
  asOperator: true,
}
/** Each event costs 1 unit. */
const metered = [{ meter: 'events', price: { model: 'perUnit' as const, unitAmount: '1' } }]
for (const [planKey, terms] of Object.entries({
  small: { ...flatPlan, metered, basePrice: '1000' },
  large: { ...flatPlan, metered, basePrice: '4000' },
  tried: { ...flatPlan, metered, basePrice: '2000', trialDays: 14 },
  yearly: { ...flatPlan, metered, basePrice: '20000', interval: 'year' as const },
})) {
  await catalog.createPlanVersion({ planKey, baseVersion: 0, terms }, newId('usr'))
  await catalog.offerPlan(planKey, true)
}

const share = (basisPoints: number, duration: CouponTerms['duration']): CouponTerms => ({
  kind: 'percent',
  basisPoints,
  duration,
})
const amount = (minorUnits: string, duration: CouponTerms['duration']): CouponTerms => ({
  kind: 'amount',
  amount: minorUnits,
  currency: 'USD',
  duration,
})
const once = { kind: 'once' } as const
const forever = { kind: 'forever' } as const
const redeem = async ({ organizationId }: TestTenant, code: string, terms: CouponTerms) => {
  await coupons.create({ code, terms }, newId('usr'))
  await coupons.redeem(organizationId, code, by)
}
const change = ({ organizationId }: TestTenant, planKey: string) => changes.changePlan(organizationId, planKey, by)

const issued = async ({ organizationId }: TestTenant) =>
  (await invoices.list(organizationId, { limit: 100 })).data
    .filter(({ status }) => status !== 'draft')
    .toSorted((one, other) => ((one.number ?? '') < (other.number ?? '') ? -1 : 1))
    .map((row) => ({ row, document: JSON.parse(row.document) as InvoiceDocument }))
/** What an invoice is over, what it comes to, and what came off. */
const told = ({ reason, amount, discount }: InvoiceDocument) => `${reason} ${amount} - ${discount}`
const discounts = async (tenant: TestTenant) => (await issued(tenant)).map(({ document }) => told(document))
const previewed = async ({ organizationId }: TestTenant) => told(await invoices.preview(organizationId))
/** The time has come, and everything is billed that is due by then. */
const bill = async (time: string | Date) => {
  await world.to(time)
  await invoices.invoiceDue()
}
const afterGrace = (time: string) => new Date(Date.parse(time) + DAY_MS + HOUR_MS)
const verifyAll = async (t: Test, tenant: TestTenant) => {
  for (const { row } of await issued(tenant))
    t.same(await invoices.verify(row.organizationId, row.id), { same: true, evidence: 'kept', differences: [] })
}

t.test(
  'a coupon waits through free months and a trial for the first invoice that it takes something off',
  async (t) => {
    await world.to('2026-01-01T00:00:00Z')
    const [tenant, other] = [await world.tenant('free'), await world.tenant('free')]
    await redeem(tenant, 'WAITS', share(5000, once))
    await bill('2026-03-05T00:00:00Z')
    for (const one of [tenant, other]) await change(one, 'tried')
    await world.send(tenant, 30, { at: '2026-03-06T12:00:00Z' })
    await bill('2026-03-19T00:00:05Z')
    t.same(await discounts(tenant), ['start 2000 - 1000'])
    await bill(afterGrace('2026-03-19T00:00:00Z'))
    await bill(afterGrace('2026-04-19T00:00:00Z'))
    t.same(await discounts(tenant), ['start 2000 - 1000', 'period 2000 - 0'], 'and is used up by it')
    t.same(await discounts(other), ['start 2000 - 0', 'period 2000 - 0'])
    await verifyAll(t, tenant)
  },
)

t.test('a fixed amount comes off once in a period, though what was before it is billed after its start', async (t) => {
  await world.to('2026-05-01T00:00:00Z')
  const tenant = await world.tenant('small')
  await redeem(tenant, 'FIXED', amount('300', { kind: 'periods', periods: 3 }))
  await world.send(tenant, 700, { at: '2026-05-05T12:00:00Z' })
  await bill('2026-05-11T00:00:00Z')
  await change(tenant, 'yearly')
  await invoices.invoiceDue()
  await world.to(afterGrace('2026-05-11T00:00:00Z'))
  const { number, issuedAt, dueAt, ...preview } = await invoices.preview(tenant.organizationId)
  t.same([number, issuedAt, dueAt], [null, null, null])
  await invoices.invoiceDue()
  const [first, start, period] = await discounts(tenant)
  t.equal(first, 'start 1000 - 300')
  t.match(start, /^start \d+ - 300$/, 'the period that follows begins')
  t.equal(period, 'period 700 - 0', 'and the one that was cut short is closed')
  t.match((await issued(tenant)).at(-1)?.document, preview, 'as it was announced')
  await bill(afterGrace('2027-05-11T00:00:00Z'))
  await bill(afterGrace('2028-05-11T00:00:00Z'))
  t.same((await discounts(tenant)).slice(3), ['period 20000 - 300', 'period 20000 - 0'])
  await verifyAll(t, tenant)
})

t.test('a share comes off everything in the periods in which it is used, a fixed amount off no change', async (t) => {
  await world.to('2028-06-01T00:00:00Z')
  const [shared, fixed] = [await world.tenant('small'), await world.tenant('small')]
  await redeem(shared, 'SHARE', share(1000, once))
  await bill('2028-06-16T00:00:00Z')
  await redeem(fixed, 'WHOLE', amount('100', forever))
  for (const tenant of [shared, fixed]) await change(tenant, 'large')
  await bill(afterGrace('2028-07-01T00:00:00Z'))
  t.same(await discounts(shared), ['start 1000 - 100', 'change 1500 - 150', 'period 4000 - 0'])
  t.same(await discounts(fixed), ['start 1000 - 0', 'change 1500 - 0', 'period 4000 - 100'])
  for (const tenant of [shared, fixed]) await verifyAll(t, tenant)
})

t.test('a void invoice gives back what coupons it used, and each invoice can still be proven', async (t) => {
  await world.to('2028-08-01T00:00:00Z')
  const [fixed, shared, other] = [await world.tenant('small'), await world.tenant('small'), await world.tenant('small')]
  await redeem(fixed, 'BACK', amount('250', once))
  await redeem(shared, 'TWICE', share(1000, { kind: 'periods', periods: 2 }))
  await redeem(other, 'KEPT', amount('250', once))
  await invoices.invoiceDue()
  await bill(afterGrace('2028-09-01T00:00:00Z'))
  for (const tenant of [fixed, shared]) {
    const [first] = await issued(tenant)
    if (!first) throw new Error('nothing was billed')
    await invoices.void({ organizationId: tenant.organizationId, invoiceId: first.row.id }, 'a mistake', by)
  }
  await bill(afterGrace('2028-10-01T00:00:00Z'))
  await bill(afterGrace('2028-11-01T00:00:00Z'))
  const discountsOf = async (tenant: TestTenant) => (await issued(tenant)).map(({ document }) => document.discount)
  t.same(await discountsOf(fixed), ['250', '0', '250', '0'])
  t.same(await discountsOf(shared), ['100', '100', '100', '0'])
  t.same(await discountsOf(other), ['250', '0', '0', '0'])
  const places = (await issued(shared)).flatMap(({ document }) => document.coupons.map(({ period }) => period))
  t.same(places, ['0', '1', '1', '2'], 'the second still says what it counted')
  for (const tenant of [fixed, shared, other]) await verifyAll(t, tenant)
})

t.test('a period that a pause outlasts is closed in itself, so that a fixed amount comes off once in it', async (t) => {
  await world.to('2029-01-01T00:00:00Z')
  const [early, late] = [await world.tenant('small'), await world.tenant('small')]
  await redeem(early, 'EARLY', amount('300', forever))
  for (const tenant of [early, late]) await world.send(tenant, 800, { at: '2029-01-05T12:00:00Z' })
  await bill('2029-01-10T00:00:00Z')
  await redeem(late, 'LATE', amount('300', forever))
  t.equal(await previewed(early), 'period 800 - 300', 'while another will begin')
  for (const { organizationId } of [early, late]) await changes.pause(organizationId, by)
  t.equal(await previewed(early), 'period 800 - 0')
  await bill(afterGrace('2029-02-01T00:00:00Z'))
  for (const { organizationId } of [early, late]) await changes.resume(organizationId, by)
  await invoices.invoiceDue()
  t.same(await discounts(early), ['start 1000 - 300', 'period 800 - 0', 'start 1000 - 300'])
  t.same(await discounts(late), ['start 1000 - 0', 'period 800 - 300', 'start 1000 - 300'])
  for (const tenant of [early, late]) await verifyAll(t, tenant)
})

t.test('a forecast of a period does not promise what the draft before it will use up', async (t) => {
  await world.to('2029-05-01T00:00:00Z')
  const tenant = await world.tenant('small')
  await world.to('2029-05-01T00:00:05Z')
  await redeem(tenant, 'SOON', amount('100', once))
  await world.send(tenant, 500, { at: '2029-06-01T06:00:00Z' })
  await bill('2029-06-01T12:00:00Z')
  const { period } = await subscriptions.current(tenant.organizationId)
  const { soFar } = await invoices.estimate(tenant.organizationId, period?.id ?? '')
  t.equal(told(soFar), 'period 500 - 0')
  t.equal(await previewed(tenant), 'period 1000 - 100', 'the draft itself')
  await bill(afterGrace('2029-06-01T00:00:00Z'))
  t.same(await discounts(tenant), ['start 1000 - 0', 'period 1000 - 100'], 'nothing came off what was owed before')
})

t.test('what is only drafted uses no coupon up, and what took nothing off does not either', async (t) => {
  await world.to('2029-07-01T00:00:00Z')
  const [drafted, idle] = [await world.tenant('small'), await world.tenant('free')]
  await redeem(idle, 'ALL', share(10_000, once))
  await world.to('2029-07-01T00:00:05Z')
  await redeem(drafted, 'DRAFT', share(1000, once))
  await redeem(idle, 'NEXT', share(1000, once))
  await change(idle, 'small')
  await bill('2029-08-01T06:00:00Z')
  t.equal(await previewed(drafted), 'period 1000 - 100')
  await change(drafted, 'yearly')
  await bill(afterGrace('2029-08-01T06:00:00Z'))
  t.match(await discounts(drafted), ['start 1000 - 0', /^start 19\d\d\d - 19\d\d$/, 'period 1000 - 0'])
  const [first, next] = await discounts(idle)
  t.match(first, /^change (\d+) - \1$/, 'one takes all')
  t.equal(next, 'period 1000 - 100', 'and the other waits')
  for (const tenant of [drafted, idle]) await verifyAll(t, tenant)
})

t.test('what is due at once is billed before the period that closes, also where that had failed', async (t) => {
  await world.to('2029-09-01T00:00:00Z')
  const tenant = await world.tenant('small')
  await bill('2029-09-01T00:00:05Z')
  await redeem(tenant, 'ORDER', amount('300', once))
  await world.send(tenant, 700, { at: '2029-09-05T12:00:00Z' })
  await world.to('2029-09-11T00:00:00Z')
  await change(tenant, 'yearly')
  await world.to(afterGrace('2029-09-11T00:00:00Z'))
  armFailpoints('invoices.finalizing=error@1', () => {})
  t.teardown(() => armFailpoints('', () => {}))
  await t.rejects(invoices.invoiceDue(), { message: /could not be billed/ })
  t.same(await discounts(tenant), ['start 1000 - 0'], 'nothing is billed out of turn')
  await invoices.invoiceDue()
  t.match(await discounts(tenant), ['start 1000 - 0', /^start \d+ - 300$/, 'period 700 - 0'])
})
