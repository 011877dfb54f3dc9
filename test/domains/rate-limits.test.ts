import { sql } from 'drizzle-orm'
import t from 'tap'
import { Problem } from '../../src/errors.ts'
import type { KeyScope } from '../../src/http/access.ts'
import { createKeyLimit } from '../../src/http/key-limit.ts'
import { newAddress, post } from '../helpers/accounts.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { addMember, makeApiKey, sessionOf } from '../helpers/principals.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const LIMITS = { METERHOUSE_API_REQUESTS_PER_MINUTE: '4', METERHOUSE_ORGANIZATION_REQUESTS_PER_MINUTE: '9' }
const FOUR = [200, 200, 200, 200]

t.test('limits per minute', async (t) => {
  const { app } = await startTestApp(t, LIMITS)
  const ask = async (key: string, { projectId }: TestTenant, scheme = 'Bearer') => {
    const headers = { authorization: `${scheme} ${key}` }
    return app.inject({ url: `/v1/projects/${projectId}/schema/events`, headers })
  }
  const limitedKey = async (tenant: TestTenant, scopes: KeyScope[], requestsPerMinute: number | null) => {
    const made = await makeApiKey(app, tenant, scopes)
    await app.postgres.withSystem((tx) =>
      tx.execute(sql`update api_keys set requests_per_minute = ${requestsPerMinute} where id = ${made.id}`),
    )
    return made
  }

  await t.test('a credential has one budget, in whatever form it comes, and another its own', async (t) => {
    const [alpha] = await createTwoTenants(app)
    const [{ key }, other] = [
      await makeApiKey(app, alpha, ['query:read']),
      await makeApiKey(app, alpha, ['query:read']),
    ]
    const basic = (password: string) => Buffer.from(`${key}:${password}`).toString('base64')
    const forms = [
      ['Bearer', key],
      ['bearer ', key],
      ['Basic', basic('a')],
      ['Basic', basic('b')],
      ['Basic', basic('c')],
    ] as const
    const answers = []
    for (const [scheme, text] of forms) answers.push(await ask(text, alpha, scheme))
    t.same(
      answers.map(({ statusCode }) => statusCode),
      [...FOUR, 429],
    )
    t.equal(answers[0]?.headers['ratelimit-policy'], '"requests";q=4;w=60')
    t.equal(answers[4]?.json().code, 'request.rate_limited')
    t.ok(Number(answers[4]?.headers['retry-after']) > 0)
    t.equal((await ask(other.key, alpha)).statusCode, 200)
  })

  await t.test('a header that is no credential does not make a new budget of an address', async (t) => {
    const remoteAddress = newAddress()
    const from = (authorization: string) => app.inject({ url: '/v1/plans', headers: { authorization }, remoteAddress })
    const statuses = []
    for (let i = 0; i < 5; i++) statuses.push((await from(`Bearer made-up-${i}`)).statusCode)
    t.same(statuses, [...FOUR, 429])
    t.equal((await app.inject({ url: '/v1/plans', remoteAddress: newAddress() })).statusCode, 200)
  })

  await t.test("a key's own limit takes the place of the one that all have, downwards and upwards", async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    for (const [limit, expected] of [
      [2, [200, 200, 429]],
      [6, [...FOUR, 200, 200, 429]],
    ] as const) {
      const { key } = await limitedKey(limit === 2 ? alpha : beta, ['query:read'], limit)
      const statuses = []
      for (const _ of expected) statuses.push((await ask(key, limit === 2 ? alpha : beta)).statusCode)
      t.same(statuses, expected, `${limit}`)
    }
  })

  await t.test('an organization has one budget over all its keys and people, and another its own', async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    const keys = await Promise.all([0, 1, 2].map(() => makeApiKey(app, alpha, ['query:read'])))
    for (const { key } of keys.slice(0, 2)) for (let i = 0; i < 4; i++) t.equal((await ask(key, alpha)).statusCode, 200)
    t.equal((await ask(keys[2]?.key ?? '', alpha)).statusCode, 200, 'the ninth')
    const person = authorized(sessionOf(app, await addMember(app, alpha, 'viewer')), {
      url: `/v1/organizations/${alpha.organizationId}`,
    })
    for (const refused of [await ask(keys[2]?.key ?? '', alpha), await app.inject(person)]) {
      t.match([refused.statusCode, refused.json().code], [429, 'request.rate_limited'])
      t.equal(refused.headers['ratelimit-policy'], '"organization";q=9;w=60')
      t.ok(Number(refused.headers['retry-after']) > 0)
    }
    t.equal((await ask(beta.apiKey, beta)).statusCode, 200)
    const event = { method: 'POST', url: '/v1/events', payload: { event: 'Sent' } } as const
    t.equal((await app.inject(authorized(alpha.writeKey, event))).statusCode, 202, 'events have limits of their own')
  })

  await t.test("a key's own limit holds for events too, wherever the key is in the request", async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    for (const { writeKeyId } of [alpha])
      await app.postgres.withSystem((tx) =>
        tx.execute(sql`update api_keys set requests_per_minute = 3 where id = ${writeKeyId}`),
      )
    const send = ({ writeKey }: TestTenant) =>
      app.inject(authorized(writeKey, { method: 'POST', url: '/v1/events', payload: { event: 'Sent' } }))
    for (let i = 0; i < 2; i++) t.equal((await send(alpha)).statusCode, 202)
    const inBody = () =>
      app.inject({
        method: 'POST',
        url: '/v1/t',
        headers: { 'content-type': 'text/plain' },
        payload: JSON.stringify({ writeKey: alpha.writeKey, event: 'Sent' }),
      })
    t.equal((await inBody()).statusCode, 200)
    for (const refused of [await send(alpha), await inBody()]) {
      t.equal(refused.statusCode, 429)
      t.ok(Number(refused.headers['retry-after']) > 0)
    }
    for (let i = 0; i < 5; i++) t.equal((await send(beta)).statusCode, 202)
  })
})

t.test("the count of a key's requests ends with its minute, however often it goes on", async (t) => {
  const limit = createKeyLimit(400)
  const key = { keyId: 'key_1', requestsPerMinute: 2 }
  const isRefused = (of: Parameters<typeof limit.check>[0] = key) => {
    try {
      limit.check(of)
      return false
    } catch (error) {
      return error instanceof Problem && error.status === 429
    }
  }
  t.same([isRefused(), isRefused(), isRefused()], [false, false, true])
  t.notOk(isRefused({ ...key, keyId: 'key_2' }))
  t.notOk(isRefused({ ...key, requestsPerMinute: null }))
  await eventually('the end of the window', async () => !isRefused())
})

t.test('whoever only fails is turned away from every route, and told nothing of the operators', async (t) => {
  const { app } = await startTestApp(t, { METERHOUSE_FAILED_AUTHENTICATIONS_PER_MINUTE: '3' })
  const [alpha] = await createTwoTenants(app)
  const remoteAddress = newAddress()
  const me = (credential: string) => app.inject(authorized(credential, { url: '/v1/me', remoteAddress }))
  for (let i = 0; i < 3; i++) t.equal((await me('a guess')).statusCode, 401)
  const refused = await me(sessionOf(app, alpha.userId))
  t.match([refused.statusCode, refused.json().code], [429, 'auth.too_many_failures'])
  t.equal((await app.inject({ url: '/v1/admin/organizations', remoteAddress })).statusCode, 404)
  t.equal((await app.inject(authorized(sessionOf(app, alpha.userId), { url: '/v1/me' }))).statusCode, 200)
})

t.test('a mailbox is sent a few links of a kind, whoever asks, with an account or without', async (t) => {
  // Without the role jobs, which forgets what addresses without an account have asked for.
  const { app } = await startTestApp(t, { METERHOUSE_ROLES: 'api' })
  const [alpha, beta] = await createTwoTenants(app)
  const forgot = (email: string) => post(app, '/v1/auth/forgot-password', { payload: { email } })
  const register = (email: string) =>
    post(app, '/v1/auth/register', { payload: { email, name: 'Somebody', password: 'a long and lonely password' } })
  for (const [ask, email] of [
    [forgot, alpha.email],
    [forgot, 'nobody@example.com'],
    [register, beta.email],
    [register, 'somebody@example.com'],
  ] as const) {
    for (let i = 0; i < 5; i++) t.equal((await ask(email)).statusCode, 202)
    const refused = await ask(email.toUpperCase())
    t.match([refused.statusCode, refused.json().code], [429, 'identity.too_many_mails'], email)
    const seconds = Number(refused.headers['retry-after'])
    t.ok(seconds > 800 && seconds <= 900, `${seconds} s`)
  }
  t.equal((await forgot(beta.email)).statusCode, 202, 'links of another kind')
  const { rows } = await app.postgres.withSystem((tx) =>
    tx.execute<{ proofs: string }>(sql`select count(*) as proofs from mailbox_proofs`),
  )
  t.equal(Number(rows[0]?.proofs), 21)
})

t.test('while Redis is away nobody signs in or asks for a mail, whoever is signed in reads', async (t) => {
  const { app, redis } = await startTestApp(t)
  const [alpha] = await createTwoTenants(app)
  const { email, password } = alpha
  const token = 'x'.repeat(43)
  const read = () => app.inject(authorized(alpha.apiKey, { url: `/v1/projects/${alpha.projectId}` }))
  t.equal((await read()).statusCode, 200)
  await redis.stop()
  for (const [url, payload] of [
    ['/v1/auth/login', { email, password }],
    ['/v1/auth/register', { email, name: 'Somebody', password: 'a long and lonely password' }],
    ['/v1/auth/forgot-password', { email }],
    ['/v1/auth/verify-email', { token }],
    ['/v1/auth/reset-password', { token, password: 'a long and lonely password' }],
    ['/v1/auth/confirm-email-change', { token }],
    ['/v1/auth/refresh', {}],
  ] as const) {
    const answer = await post(app, url, { payload })
    t.equal(answer.statusCode, 503, `${url}: ${answer.body}`)
    t.ok(Number(answer.headers['retry-after']) > 0, url)
  }
  t.equal((await read()).statusCode, 200)
})

t.test('while the Redis of limits is away, events are taken and keys held to their own limits', async (t) => {
  const { app } = await startTestApp(t, { METERHOUSE_REDIS_URL: 'redis://127.0.0.1:1' })
  const [alpha, beta] = await createTwoTenants(app)
  await app.postgres.withSystem((tx) =>
    tx.execute(sql`update api_keys set requests_per_minute = 2 where id = ${alpha.writeKeyId}`),
  )
  const send = async ({ writeKey }: TestTenant) =>
    (await app.inject(authorized(writeKey, { method: 'POST', url: '/v1/events', payload: { event: 'Sent' } })))
      .statusCode
  t.same([await send(alpha), await send(alpha), await send(alpha)], [202, 202, 429])
  t.same([await send(beta), await send(beta), await send(beta)], [202, 202, 202])
})
