import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { makeApiKey, sessionOf } from '../helpers/principals.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const LIMIT_MS = 5000

const read = (app: FastifyInstance, tenant: TestTenant, key: string) =>
  app.inject(authorized(key, { url: `/v1/projects/${tenant.projectId}/schema/events` }))

/** Revokes a key that acts and waits until it acts no more; gives the time from the request to the first refusal. */
async function revoke(t: Test, app: FastifyInstance, [alpha, beta]: [TestTenant, TestTenant]): Promise<number> {
  const { id, key } = await makeApiKey(app, alpha, ['query:read'])
  t.equal((await read(app, alpha, key)).statusCode, 200, 'the key acts, and the process remembers it')
  t.equal((await read(app, beta, beta.apiKey)).statusCode, 200)
  const startedAt = performance.now()
  const url = `/v1/projects/${alpha.projectId}/api-keys/${id}`
  const revocation = await app.inject(authorized(sessionOf(app, alpha.userId), { method: 'DELETE', url }))
  t.equal(revocation.statusCode, 204, revocation.body)
  await eventually('the refusal', async () => (await read(app, alpha, key)).statusCode === 401, LIMIT_MS + 1000)
  const elapsedMs = performance.now() - startedAt
  t.comment(`the key stopped acting after ${Math.round(elapsedMs)} ms`)
  t.equal((await read(app, alpha, alpha.apiKey)).statusCode, 200, 'other keys of the project go on')
  t.equal((await read(app, beta, beta.apiKey)).statusCode, 200, 'keys of others go on')
  const again = await app.inject(authorized(sessionOf(app, alpha.userId), { method: 'DELETE', url }))
  t.equal(again.statusCode, 404, 'a revoked key is gone')
  return elapsedMs
}

t.test('a revoked key stops acting within five seconds', async (t) => {
  const { app } = await startTestApp(t)
  const elapsedMs = await revoke(t, app, await createTwoTenants(app))
  t.ok(elapsedMs < LIMIT_MS, `${elapsedMs} ms`)
})

t.test('a revoked key stops acting within five seconds even when nobody tells the process', async (t) => {
  // Without the role jobs nothing moves facts out of the outbox.
  const { app } = await startTestApp(t, { METERHOUSE_ROLES: 'api' })
  const elapsedMs = await revoke(t, app, await createTwoTenants(app))
  t.ok(elapsedMs < LIMIT_MS, `${elapsedMs} ms`)
})

/** All that takes a right away from a key, and what its holder is answered then. */
const ENDS = {
  'a revocation': { request: { method: 'DELETE' }, status: 401 },
  'a rotation without overlap': {
    request: { method: 'POST', url: '/rotate', payload: { overlapSeconds: 0 } },
    status: 401,
  },
  'a rotation with an overlap that is over': {
    request: { method: 'POST', url: '/rotate', payload: { overlapSeconds: 1 } },
    status: 401,
  },
  'an end that is over': { request: () => ({ method: 'PATCH', payload: { expiresAt: inOneSecond() } }), status: 401 },
  'a list of addresses': { request: { method: 'PATCH', payload: { allowedIps: ['203.0.113.0/24'] } }, status: 403 },
} as const

const inOneSecond = () => new Date(Date.now() + 1000).toISOString()

for (const [title, roles] of [
  ['', 'all'],
  [' even when nobody tells it', 'api'],
] as const) {
  t.test(`what ends or narrows a key acts in another process within five seconds${title}`, async (t) => {
    const { app, config } = await startTestApp(t, { METERHOUSE_ROLES: roles })
    const other = await buildApp(config, false)
    await other.ready()
    t.teardown(() => other.close())
    const [alpha, beta] = await createTwoTenants(app)
    const end = async ([what, { request, status }]: [string, (typeof ENDS)[keyof typeof ENDS]]) => {
      const { id, key } = await makeApiKey(app, alpha, ['query:read'])
      for (const process of [app, other]) t.equal((await read(process, alpha, key)).statusCode, 200, `before ${what}`)
      const { url = '', ...rest } = typeof request === 'function' ? { url: '', ...request() } : { url: '', ...request }
      const startedAt = performance.now()
      const own = `/v1/projects/${alpha.projectId}/api-keys/${id}${url}`
      const answer = await app.inject(authorized(sessionOf(app, alpha.userId), { ...rest, url: own }))
      t.ok(answer.statusCode < 300, answer.body)
      await eventually(what, async () => (await read(other, alpha, key)).statusCode === status, LIMIT_MS + 1000)
      const elapsedMs = Math.round(performance.now() - startedAt)
      t.ok(elapsedMs < LIMIT_MS, `${what} acted after ${elapsedMs} ms`)
    }
    await Promise.all((Object.entries(ENDS) as Parameters<typeof end>[0][]).map(end))
    t.equal((await read(other, alpha, alpha.apiKey)).statusCode, 200, 'other keys of the project go on')
    t.equal((await read(other, beta, beta.apiKey)).statusCode, 200, 'keys of others go on')
  })
}

t.test(
  'a credential is taken as a Bearer token, as a Basic user name and in any letter case of the scheme',
  async (t) => {
    const { app } = await startTestApp(t)
    const [alpha] = await createTwoTenants(app)
    const basic = (text: string) => Buffer.from(text).toString('base64')
    const headers = {
      [`Bearer ${alpha.apiKey}`]: 200,
      [`bearer ${alpha.apiKey}`]: 200,
      [`Basic ${basic(`${alpha.apiKey}:`)}`]: 200,
      [`basic ${basic(alpha.apiKey)}`]: 200,
      [`Basic ${basic(`user:${alpha.apiKey}`)}`]: 401,
      [`Digest ${alpha.apiKey}`]: 401,
      [alpha.apiKey]: 401,
      Bearer: 401,
    }
    for (const [authorization, status] of Object.entries(headers)) {
      const url = `/v1/projects/${alpha.projectId}/schema/events`
      t.equal(
        (await app.inject({ url, headers: { authorization } })).statusCode,
        status,
        `${authorization.split(' ')[0]}`,
      )
    }
  },
)
