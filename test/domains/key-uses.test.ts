import t from 'tap'
import { buildApp } from '../../src/app.ts'
import { createKeyUses } from '../../src/domains/projects/key-uses/service.ts'
import type { KeyPrincipal } from '../../src/http/access.ts'
import type { Postgres } from '../../src/infra/postgres.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { makeApiKey, sessionOf } from '../helpers/principals.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const { app, config } = await startTestApp(t)
const [alpha, beta] = await createTwoTenants(app)

async function lastUsedOf(tenant: TestTenant, keyId: string): Promise<string | null> {
  const url = `/v1/projects/${tenant.projectId}/api-keys`
  const { data } = (await app.inject(authorized(sessionOf(app, tenant.userId), { url }))).json()
  return data.find(({ id }: { id: string }) => id === keyId).lastUsedAt
}

const asKey = ({ organizationId }: TestTenant, keyId: string) => ({ organizationId, keyId }) as KeyPrincipal

t.test('a process writes down when keys were last good for a request, at the latest when it stops', async (t) => {
  const other = await buildApp(config, false)
  await other.ready()
  const refused = await makeApiKey(app, alpha, ['keys:read'])
  await app.inject(
    authorized(sessionOf(app, alpha.userId), {
      method: 'PATCH',
      url: `/v1/projects/${alpha.projectId}/api-keys/${refused.id}`,
      payload: { allowedIps: ['203.0.113.7'] },
    }),
  )
  const startedAt = Date.now()
  await other.inject(authorized(alpha.writeKey, { method: 'POST', url: '/v1/events', payload: { event: 'Used' } }))
  await other.inject(authorized(alpha.apiKey, { url: `/v1/projects/${alpha.projectId}` }))
  t.equal((await other.inject(authorized(refused.key, { url: '/v1/me' }))).statusCode, 403)
  t.equal(await lastUsedOf(alpha, alpha.apiKeyId), null, 'no request waits for it')
  await other.close()
  for (const keyId of [alpha.writeKeyId, alpha.apiKeyId]) {
    const at = Date.parse((await lastUsedOf(alpha, keyId)) ?? '')
    t.ok(at >= startedAt && at <= Date.now(), keyId)
  }
  t.equal(await lastUsedOf(alpha, refused.id), null, 'from a foreign address it is good for nothing')
  t.equal(await lastUsedOf(beta, beta.apiKeyId), null)
})

t.test('a minute of uses is one statement, and a use is never replaced by an earlier one', async (t) => {
  let statements = 0
  const withSystem: Postgres['withSystem'] = (fn) => {
    statements++
    return app.postgres.withSystem(fn)
  }
  const counting = { ...app.postgres, withSystem }
  const uses = createKeyUses({ postgres: counting, onFault: (error) => t.fail(String(error)) })
  const now = Date.now()
  for (let i = 0; i <= 1000; i++) uses.note(asKey(beta, beta.writeKeyId), now + i)
  uses.note(asKey(alpha, beta.apiKeyId), now)
  await uses.write()
  t.equal(statements, 1)
  t.equal(await lastUsedOf(beta, beta.writeKeyId), new Date(now + 1000).toISOString())
  t.equal(await lastUsedOf(beta, beta.apiKeyId), null, 'a use names its own organization')
  uses.note(asKey(beta, beta.writeKeyId), now)
  await uses.write()
  await uses.write()
  t.equal(statements, 2, 'without uses nothing is written')
  t.equal(await lastUsedOf(beta, beta.writeKeyId), new Date(now + 1000).toISOString())
})

t.test(
  'what could not be written is written with the next, and processes that write at once do not mind',
  async (t) => {
    let isAway = true
    const faults: unknown[] = []
    const postgres = {
      ...app.postgres,
      withSystem: (fn) => (isAway ? Promise.reject(new Error('Postgres is away')) : app.postgres.withSystem(fn)),
    } as Postgres
    const processes = [0, 1].map(() => createKeyUses({ postgres, onFault: (error) => faults.push(error) }))
    const keys = await Promise.all(Array.from({ length: 20 }, () => makeApiKey(app, beta, ['query:read'])))
    const now = Date.now()
    const [first, second] = processes
    for (const { id } of keys) first?.note(asKey(beta, id), now)
    for (const { id } of keys.toReversed()) second?.note(asKey(beta, id), now + 1)
    await Promise.all(processes.map((one) => one.write()))
    t.equal(faults.length, 2)
    isAway = false
    await Promise.all(processes.map((one) => one.stop()))
    t.equal(faults.length, 2)
    for (const { id } of keys) t.equal(await lastUsedOf(beta, id), new Date(now + 1).toISOString())
  },
)
