import { sql } from 'drizzle-orm'
import t from 'tap'
import { createCouponsService } from '../../src/domains/billing/index.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { sessionOf } from '../helpers/principals.ts'
import { acting } from '../helpers/stripe-claims.ts'
import { startStripeDouble } from '../helpers/stripe-double.ts'
import { createTenant, type TestTenant } from '../helpers/tenants.ts'

const double = await startStripeDouble(t)
const { state } = double
const { app } = await startTestApp(t, {
  ...double.environment,
  METERHOUSE_ROLES: 'api',
  METERHOUSE_PUBLIC_URL: 'http://localhost:3000',
})
const { postgres } = app
const operator = await createTenant(postgres)
await postgres.withSystem((tx) => tx.execute(sql`update users set is_operator = true where id = ${operator.userId}`))

const make = () => createTenant(postgres, 'owner', { planKey: 'free' })
const send = (userId: string, method: 'POST' | 'PATCH', url: string, payload: object) =>
  app.inject(authorized(sessionOf(app, userId), { method, url, payload }))
const buy = ({ userId, organizationId }: TestTenant) =>
  send(userId, 'POST', `/v1/organizations/${organizationId}/billing/checkout`, { planKey: 'pro' })
const set = ({ organizationId }: TestTenant, terms: object) =>
  send(operator.userId, 'PATCH', `/v1/admin/organizations/${organizationId}/billing`, { ...terms, reason: 'agreed' })
const sessionsOf = ({ organizationId }: TestTenant) =>
  state.list('checkout.session').filter((one) => one.client_reference_id === organizationId)
const statusesOf = (tenant: TestTenant) => sessionsOf(tenant).map(({ status }) => status)
const rateOf = async ({ organizationId }: TestTenant) => {
  const { rows } = await postgres.withTenant(organizationId, (tx) =>
    tx.execute(sql`select tax_basis_points from billing_accounts`),
  )
  return rows[0]?.tax_basis_points
}
const TAX = { status: 409, code: 'billing.tax_not_collected' }

t.test('where a tax rate is set nothing is sold that Stripe would collect without it', async (t) => {
  const [alpha, beta] = [await make(), await make()]
  t.equal((await set(alpha, { taxBasisPoints: 1900 })).statusCode, 200)
  const answer = await buy(alpha)
  t.match(answer.json(), { ...TAX, detail: /tax rate is set.*Ask whoever runs this server/ })
  t.same(sessionsOf(alpha), [])
  t.equal((await buy(beta)).statusCode, 200, 'of others nothing is known')
  t.equal((await set(alpha, { taxBasisPoints: 0 })).statusCode, 200)
  t.equal((await buy(alpha)).statusCode, 200, 'the operator has taken it off')
})

t.test('a page that is open for an organization with a tax rate is closed when somebody asks for it', async (t) => {
  const [alpha, beta] = [await make(), await make()]
  for (const tenant of [alpha, beta]) t.equal((await buy(tenant)).statusCode, 200)
  await postgres.withTenant(alpha.organizationId, (tx) =>
    tx.execute(sql`update billing_accounts set tax_basis_points = 1900`),
  )
  t.match((await buy(alpha)).json(), TAX)
  t.same([statusesOf(alpha), statusesOf(beta)], [['expired'], ['open']])
})

t.test(
  'a tax rate is refused while Stripe collects, also before anybody has told us; all else can be set',
  async (t) => {
    const [alpha, beta] = [await make(), await make()]
    for (const tenant of [alpha, beta]) await buy(tenant)
    const { id } = state.completeCheckout(sessionsOf(alpha)[0]?.id ?? '')
    t.match((await set(alpha, { taxBasisPoints: 1900 })).json(), { ...TAX, detail: /subscription there has to end/ })
    t.equal(await rateOf(alpha), 0)
    t.equal((await set(alpha, { taxBasisPoints: 0 })).statusCode, 200)
    t.equal((await set(alpha, { limitOverride: { perPeriod: '5', mode: 'soft' } })).statusCode, 200)
    state.cancel(id)
    t.equal((await set(alpha, { taxBasisPoints: 1900 })).statusCode, 200)
    t.equal(await rateOf(alpha), 1900)

    t.equal((await set(beta, { taxBasisPoints: 700 })).statusCode, 200, 'nobody has paid yet')
    t.same(statusesOf(beta), ['expired'], 'and nobody can any more')
    t.match((await buy(beta)).json(), TAX)
  },
)

t.test('a tax rate that is set while somebody buys leaves no page open', async (t) => {
  const tenant = await make()
  double.knobs.trouble = (method, path) =>
    method === 'POST' && path === '/v1/checkout/sessions' ? { lateMs: 300 } : undefined
  const buying = buy(tenant)
  while (sessionsOf(tenant).length === 0) await new Promise((resolve) => setImmediate(resolve))
  t.equal((await set(tenant, { taxBasisPoints: 1900 })).statusCode, 200)
  t.equal((await buying).statusCode, 200)
  double.knobs.trouble = () => undefined
  t.same(statusesOf(tenant), ['expired'])
})

t.test(
  'while Stripe is away no tax rate is set blindly, and where nothing was ever bought it need not be asked',
  async (t) => {
    const [alpha, beta] = [await make(), await make()]
    await buy(alpha)
    double.knobs.trouble = () => ({ status: 503 })
    t.match((await set(alpha, { taxBasisPoints: 1900 })).json(), { status: 503, code: 'billing.stripe_unavailable' })
    t.equal(await rateOf(alpha), 0)
    t.equal((await set(beta, { taxBasisPoints: 1900 })).statusCode, 200)
    double.knobs.trouble = () => undefined
  },
)

t.test('before anybody pays they learn which credit and coupons Stripe does not count', async (t) => {
  const [alpha, beta] = [await make(), await make()]
  const url = `/v1/admin/organizations/${alpha.organizationId}/credit`
  const credit = { amount: '2000', currency: 'USD', reason: 'sorry' }
  t.equal((await send(operator.userId, 'POST', url, credit)).statusCode, 201)
  const coupons = {
    HALF: { kind: 'percent', basisPoints: 5000, duration: { kind: 'forever' } },
    EUROS: { kind: 'amount', amount: '100', currency: 'EUR', duration: { kind: 'forever' } },
    DOLLARS: { kind: 'amount', amount: '100', currency: 'USD', duration: { kind: 'once' } },
  }
  for (const [code, terms] of Object.entries(coupons)) {
    t.equal((await send(operator.userId, 'POST', '/v1/admin/coupons', { code, terms })).statusCode, 201)
    await createCouponsService({ postgres }).redeem(alpha.organizationId, code, acting)
  }
  const notCounted = { credit: { amount: '2000', currency: 'USD' }, coupons: ['HALF', 'DOLLARS'] }
  for (const _again of [1, 2]) t.same((await buy(alpha)).json().notCounted, notCounted)
  t.same((await buy(beta)).json().notCounted, { credit: null, coupons: [] }, 'of the own organization only')
})
