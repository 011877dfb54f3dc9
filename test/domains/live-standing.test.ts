import { sql } from 'drizzle-orm'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { listen, openLive } from '../helpers/live.ts'
import { addCustomMember, addMember, sessionOf } from '../helpers/principals.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const LIMIT_MS = 5000

const { app } = await startTestApp(t)
const [alpha, beta] = await createTwoTenants(app)
const base = await listen(app)

const as = (userId: string, request: InjectOptions) => app.inject(authorized(sessionOf(app, userId), request))
const watch = async (tenant: TestTenant, credential: string) => {
  const live = await openLive(t, `${base}/v1/projects/${tenant.projectId}/live`, credential)
  await live.frame('hello')
  return live
}

t.test('whoever loses the right to see events stops watching within five seconds, and nobody else does', async (t) => {
  const { userId, roleId } = await addCustomMember(app, alpha, ['query:read'])
  const given = await addMember(app, alpha, 'viewer')
  const [theirs, other, owners] = [
    await watch(alpha, sessionOf(app, userId)),
    await watch(alpha, sessionOf(app, given)),
    await watch(alpha, sessionOf(app, alpha.userId)),
  ]
  const organization = `/v1/organizations/${alpha.organizationId}`
  const narrow = { method: 'PATCH', url: `${organization}/roles/${roleId}`, payload: { permissions: [] } } as const
  t.equal((await as(alpha.userId, narrow)).statusCode, 200)
  await eventually('the close', async () => theirs.closeCode() === 4001, LIMIT_MS)
  t.equal(other.closeCode(), undefined)
  const give = { method: 'PATCH', url: `${organization}/members/${given}`, payload: { role: roleId } } as const
  t.equal((await as(alpha.userId, give)).statusCode, 200)
  await eventually('the other close', async () => other.closeCode() === 4001, LIMIT_MS)
  t.equal(owners.closeCode(), undefined)
})

t.test('nobody watches a frozen organization, and others watch on', async (t) => {
  const [byPerson, byKey, others] = [
    await watch(alpha, sessionOf(app, alpha.userId)),
    await watch(alpha, alpha.apiKey),
    await watch(beta, beta.apiKey),
  ]
  await app.postgres.withSystem((tx) => tx.execute(sql`update users set is_operator = true where id = ${beta.userId}`))
  const url = `/v1/admin/organizations/${alpha.organizationId}/freeze`
  t.equal((await as(beta.userId, { method: 'POST', url, payload: { reason: 'A test.' } })).statusCode, 200)
  await eventually('both closes', async () => byPerson.closeCode() === 4001 && byKey.closeCode() === 4001, LIMIT_MS)
  t.equal(others.closeCode(), undefined)
  await t.rejects(watch(alpha, sessionOf(app, alpha.userId)), /refused with 403/)
})
