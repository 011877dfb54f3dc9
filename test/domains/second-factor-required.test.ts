import type { InjectOptions } from 'fastify'
import t from 'tap'
import { createAuditService } from '../../src/domains/audit/index.ts'
import { memberships } from '../../src/domains/organizations/tables.ts'
import { newId } from '../../src/ids.ts'
import { newAddress } from '../helpers/accounts.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { listen, openLive } from '../helpers/live.ts'
import { addCustomMember, addMember, sessionOf } from '../helpers/principals.ts'
import { routesOf } from '../helpers/routes.ts'
import { addSecondFactor, codeOf, forgetSteps } from '../helpers/second-factor.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const LIMIT_MS = 5000
/** Public, for programs of the operator, or the way out. */
const OTHERS = /\/admin\/|\/settings$|\/leave$/

const { app } = await startTestApp(t)
const base = await listen(app)
const audit = createAuditService(app)

const as = (userId: string, request: InjectOptions) =>
  app.inject(authorized(sessionOf(app, userId), { remoteAddress: newAddress(), ...request }))
const organizationOf = ({ organizationId }: TestTenant) => `/v1/organizations/${organizationId}`
const ask = (tenant: TestTenant, requiresSecondFactor: boolean, userId = tenant.userId) =>
  as(userId, { method: 'PATCH', url: organizationOf(tenant), payload: { requiresSecondFactor } })
const watch = async (tenant: TestTenant, credential: string) => {
  const live = await openLive(t, `${base}/v1/projects/${tenant.projectId}/live`, credential)
  await live.frame('hello')
  return live
}
const REQUIRED = { status: 403, code: 'auth.second_factor_required' }

t.test('who asks for a second factor has one, may change the organization, and leaves an entry', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  t.match((await ask(alpha, true)).json(), REQUIRED)
  t.match((await as(alpha.userId, { url: organizationOf(alpha) })).json(), { requiresSecondFactor: false })
  await addSecondFactor(app, alpha)
  t.equal((await ask(alpha, true, await addMember(app, alpha, 'developer'))).statusCode, 403)
  t.equal((await ask(alpha, true, beta.userId)).statusCode, 404)
  t.match((await ask(alpha, true)).json(), { requiresSecondFactor: true, name: 'Test' })
  t.match((await as(alpha.userId, { url: organizationOf(alpha) })).json(), { requiresSecondFactor: true })
  t.match((await ask(alpha, false)).json(), { requiresSecondFactor: false })
  const change = 'organization.second_factor_changed'
  const entries = (await audit.list({ organizationId: alpha.organizationId }, { limit: 50 })).data.filter(
    ({ action }) => action === change,
  )
  t.match(entries, [{ after: { requiresSecondFactor: false } }, { after: { requiresSecondFactor: true } }])
  t.match((await as(beta.userId, { url: organizationOf(beta) })).json(), { requiresSecondFactor: false })
})

t.test('without a second factor a member does nothing in the organization and its projects but leave it', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  await addSecondFactor(app, alpha)
  const without = await addMember(app, alpha, 'owner')
  t.equal((await ask(alpha, true)).statusCode, 200)
  const routes = routesOf(app).filter(({ url }) => /:(organizationId|projectId)/.test(url) && !OTHERS.test(url))
  t.ok(routes.length > 40)
  for (const { method, url } of routes) {
    const path = url.replace(':organizationId', alpha.organizationId).replace(':projectId', alpha.projectId)
    const answer = await as(without, { method: method as 'GET', url: path.replace(/:\w+/g, 'x') })
    t.match(answer.json(), REQUIRED, `${method} ${url}`)
  }
  const listed = (await as(without, { url: '/v1/organizations' })).json().data
  t.match(listed, [{ id: alpha.organizationId, requiresSecondFactor: true }])
  t.equal((await as(alpha.userId, { url: `/v1/projects/${alpha.projectId}` })).statusCode, 200)
  t.equal((await as(beta.userId, { url: `/v1/projects/${beta.projectId}` })).statusCode, 200)
  t.equal((await app.inject(authorized(alpha.apiKey, { url: `/v1/projects/${alpha.projectId}` }))).statusCode, 200)
  t.equal((await as(without, { method: 'POST', url: `${organizationOf(alpha)}/leave` })).statusCode, 204)
})

t.test('a member who enrolls goes on at once, and one who removes the second factor stops', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  await addSecondFactor(app, alpha)
  await app.postgres.withTenant(alpha.organizationId, (tx) =>
    tx
      .insert(memberships)
      .values({ organizationId: alpha.organizationId, id: newId('mem'), userId: beta.userId, role: 'viewer' }),
  )
  await ask(alpha, true)
  const read = async () => (await as(beta.userId, { url: `/v1/projects/${alpha.projectId}` })).statusCode
  t.equal(await read(), 403)
  const { secret } = await addSecondFactor(app, beta)
  t.equal(await read(), 200)
  const [theirs, own] = [
    await watch(alpha, sessionOf(app, beta.userId)),
    await watch(beta, sessionOf(app, beta.userId)),
  ]
  await forgetSteps(app, beta)
  const payload = { password: beta.password, code: codeOf(secret) }
  t.equal((await as(beta.userId, { method: 'DELETE', url: '/v1/me/second-factor', payload })).statusCode, 204)
  t.equal(await read(), 403)
  await eventually('the close', async () => theirs.closeCode() === 4001, LIMIT_MS)
  t.equal(own.closeCode(), undefined, 'where none is asked for')
})

t.test(
  'the sockets of members without a second factor close within five seconds, and those of keys stay',
  async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    await addSecondFactor(app, alpha)
    const { userId } = await addCustomMember(app, alpha, ['query:read'])
    const [without, key, others] = [
      await watch(alpha, sessionOf(app, userId)),
      await watch(alpha, alpha.apiKey),
      await watch(beta, sessionOf(app, beta.userId)),
    ]
    t.equal((await ask(alpha, true)).statusCode, 200)
    await eventually('the close', async () => without.closeCode() === 4001, LIMIT_MS)
    await t.rejects(watch(alpha, sessionOf(app, userId)), /refused with 403/)
    await watch(alpha, sessionOf(app, alpha.userId))
    t.same([key.closeCode(), others.closeCode()], [undefined, undefined])
  },
)
