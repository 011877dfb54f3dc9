import { randomBytes } from 'node:crypto'
import { sql } from 'drizzle-orm'
import type { FastifyInstance, InjectOptions } from 'fastify'
import pg from 'pg'
import t from 'tap'
import { newId } from '../../src/ids.ts'
import { createJobs } from '../../src/infra/jobs.ts'
import { COOKIE, newAddress, post, refresh, refreshTokenOf, signIn } from '../helpers/accounts.ts'
import { authorized, eventually } from '../helpers/app.ts'
import { startLoggedApp } from '../helpers/logged-app.ts'
import { startTestMailbox, tokenIn } from '../helpers/mailbox.ts'
import { type Operation, operationsOf, sampleOf } from '../helpers/openapi-operations.ts'
import { sessionOf } from '../helpers/principals.ts'
import { textsOfPostgres, textsOfRedis } from '../helpers/stored-texts.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const CARD = '4242424242424242'
const FORCED = '/v1/forced-fault'
const FORCED_SECRET = 'canary-of-a-forced-fault'

const mailbox = await startTestMailbox(t)
const { app, lines, config, postgresAdminUrl } = await startLoggedApp(
  t,
  { METERHOUSE_SMTP_URL: mailbox.url },
  addForcedFault,
)
const [alpha] = await createTwoTenants(app)
const operations = await operationsOf(app)
const owner = sessionOf(app, alpha.userId)

/** Whatever a request can carry that must be written down nowhere. */
const canary = (what: string) => `canary-${what}-${randomBytes(8).toString('hex')}`
const sent = {
  cookie: canary('cookie'),
  csrf: canary('csrf'),
  authorization: canary('authorization'),
  basic: canary('basic'),
  key: `mh_live_${canary('key')}`,
  signature: canary('signature'),
  'webhook secret': `whsec_${canary('webhook')}`,
  'presigned url': `X-Amz-Signature=${canary('presigned')}`,
  token: `eyJ${canary('token')}`,
  'one-time code': canary('otp'),
  password: canary('password'),
  card: CARD,
}

const found = (texts: Iterable<string>, secrets: Record<string, string>) => {
  const all = [...texts]
  return Object.entries(secrets).flatMap(([what, secret]) =>
    all.filter((text) => text.includes(secret)).map((text) => `${what}: ${text.slice(0, 300)}`),
  )
}

/** The person's own secrets, made as a person makes them: by every route that gives or takes one. */
async function secretsOfALife() {
  const email = `${newId('usr')}@example.org`
  const [first, second] = [canary('first-password'), canary('second-password')]
  const ask = (action: string, payload: object) => post(app, `/v1/auth/${action}`, { payload })
  await ask('register', { email, password: first, name: 'Ada', organizationName: 'Analytical Engines' })
  const verification = tokenIn(await mailbox.next(email))
  await ask('verify-email', { token: verification })
  await ask('forgot-password', { email })
  const reset = tokenIn(await mailbox.next(email, 1, /^Set a new password$/))
  await ask('reset-password', { token: reset, password: second })
  const { accessToken, refreshToken, csrfToken } = await signIn(app, { email, password: second })
  const successor = refreshTokenOf(await refresh(app, refreshToken))
  const as = async (request: InjectOptions) => (await app.inject(authorized(accessToken, request))).json()
  const { memberships } = await as({ url: '/v1/me' })
  const organization = `/v1/organizations/${memberships[0].organizationId}`
  const project = await as({ method: 'POST', url: `${organization}/projects`, payload: { name: 'Shop' } })
  const keys = `/v1/projects/${project.id}/api-keys`
  const write = await as({ method: 'POST', url: keys, payload: { name: 'write', kind: 'write' } })
  const read = await as({ method: 'POST', url: keys, payload: { name: 'api', kind: 'api', scopes: ['query:read'] } })
  await app.inject(authorized(write.key, { method: 'POST', url: '/v1/events', payload: { event: 'Sent' } }))
  const guest = `${newId('usr')}@example.org`
  await as({ method: 'POST', url: `${organization}/invitations`, payload: { email: guest, role: 'viewer' } })
  const invitation = tokenIn(await mailbox.next(guest))
  await post(app, '/v1/auth/login', { payload: { email, password: canary('wrong-password') } })
  await ask('forgot-password', { email })
  const unused = tokenIn(await mailbox.next(email, 2, /^Set a new password$/))
  const tokens = { verification, reset, unused, invitation, accessToken, refreshToken, successor, csrfToken }
  return { first, second, ...tokens, write: write.key, read: read.key } as Record<string, string>
}

t.test('B6: no table and no key of Redis holds a token, a key or a password that acts', async (t) => {
  const secrets = await secretsOfALife()
  for (const [what, secret] of Object.entries(secrets)) t.ok(secret?.length >= 20, what)
  const tables = await textsOfPostgres(postgresAdminUrl)
  const redis = await textsOfRedis(app.redis)
  for (const table of ['users', 'sessions', 'refresh_tokens', 'mailbox_proofs', 'api_keys', 'invitations', 'outbox'])
    t.ok(tables.get(`public.${table}`), `${table} has rows`)
  t.ok([...redis.keys()].some((key) => key.includes('jobs')) && [...redis.keys()].some((key) => key.includes('stream')))
  t.same(
    found(
      [...tables].map(([name, text]) => `${name} ${text}`),
      secrets,
    ),
    [],
  )
  t.same(found(redis.values(), secrets), [])
  t.same(found(lines, secrets), [], 'and no line of the log')
  t.match(found(['a', secrets.reset ?? ''], secrets), [/^reset/], 'the search finds what is there')
})

/** An operation with a secret in every place where one could stand. */
function loaded(operation: Operation, credential: string | undefined): InjectOptions {
  const ids: Record<string, string> = { projectId: alpha.projectId, organizationId: alpha.organizationId }
  const secrets = Object.values(sent)
  const sample = operation.body && (sampleOf(operation.body) as Record<string, unknown>)
  const url = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => ids[name] ?? 'nothing')
  const query = { token: sent.token, code: sent['one-time code'], 'X-Amz-Signature': sent['presigned url'] }
  return {
    method: operation.method as 'GET',
    url,
    remoteAddress: newAddress(),
    // A credential in the URL is refused before anything else, so that half of the requests have none there.
    query: credential ? {} : query,
    cookies: { [COOKIE]: sent.cookie, meterhouse_csrf: sent.csrf },
    headers: {
      authorization: credential ? `Bearer ${credential}` : `Bearer ${sent.authorization}`,
      'x-csrf-token': sent.csrf,
      'stripe-signature': sent.signature,
      'webhook-signature': sent['webhook secret'],
      referer: `https://shop.example/?${sent['presigned url']}`,
    },
    ...(operation.body ? { payload: { ...sample, password: sent.password, card: CARD, secret: secrets } } : {}),
  }
}

t.test(
  'K1: what a request carries in secret is in no line of the log, no metric and no job, whatever becomes of it',
  async (t) => {
    const before = lines.length
    const statuses = new Set<number>()
    // What ends the session or the project would leave the rest with nothing to ask.
    const calls = operations.filter(({ method, path }) => method !== 'DELETE' && !/logout|leave|transfer/.test(path))
    for (const credential of [undefined, owner, alpha.apiKey, sent.key]) {
      for (const operation of calls) statuses.add((await app.inject(loaded(operation, credential))).statusCode)
    }
    const basic = Buffer.from(`${sent.basic}:${sent.password}`).toString('base64')
    await app.inject({ url: '/v1/me', headers: { authorization: `Basic ${basic}` } })
    const payload = { event: 'Paid', properties: { card: CARD, password: sent.password } }
    await app.inject(authorized(alpha.writeKey, { method: 'POST', url: '/v1/events', payload }))
    await app.inject(
      authorized(alpha.writeKey, { method: 'POST', url: '/v1/events', payload: { ...payload, event: '' } }),
    )
    await app.inject({
      method: 'POST',
      url: '/v1/auth/login',
      headers: { 'content-type': 'application/json' },
      payload: `{"password":"${sent.password}"`,
    })
    t.ok(lines.length - before > calls.length, `${lines.length - before} lines`)
    for (const status of [200, 400, 401, 403, 404]) t.ok(statuses.has(status), `${status} was among the answers`)
    t.same(found(lines, { ...sent, basic }), [])
    const metrics = (await app.inject({ url: '/metrics' })).body
    t.match(metrics, 'meterhouse_http')
    t.same(found([metrics], sent), [])
    const redis = await textsOfRedis(app.redis)
    // The event itself is stored with all that its sender put into it.
    const other = [...redis].filter(([key]) => !key.includes('stream'))
    t.same(
      found(
        other.map(([, text]) => text),
        sent,
      ),
      [],
    )
    const tables = [...(await textsOfPostgres(postgresAdminUrl)).values()]
    t.same(found(tables, sent), [])
  },
)

t.test('K1: a query that fails says neither in the log nor beside its job what it was sent with', async (t) => {
  const email = `${newId('usr')}@example.org`
  const admin = new pg.Client({ connectionString: postgresAdminUrl })
  await admin.connect()
  t.teardown(() => admin.end())
  await admin.query('alter table mailbox_proofs add constraint shut check (purpose is null) not valid')
  const password = canary('password')
  const answer = await post(app, '/v1/auth/register', { payload: { email, password, name: 'Ada' } })
  await admin.query('alter table mailbox_proofs drop constraint shut')
  t.equal(answer.statusCode, 500)
  const failed = lines.filter((line) => line.includes('request failed') && line.includes('mailbox_proofs'))
  t.equal(failed.length, 1)
  t.match(JSON.parse(failed[0] ?? '{}').err, {
    message: /^Failed query: insert into "mailbox_proofs"/,
    stack: /^ +at /,
    cause: { code: '23514' },
  })
  t.same(found(lines, { password, email, hash: '$argon2' }), [])
  const jobs = createJobs<{ of: string }>({
    redisUrl: config.redis.url,
    name: 'failing',
    work: async () => {
      await app.postgres.withSystem((tx) => tx.execute(sql`select ${password}::text, * from nothing`))
    },
    log: app.log,
    onDeadLetter: () => {},
  })
  t.teardown(() => jobs.stop())
  jobs.start()
  await jobs.add('one', { of: 'nobody' })
  const failedJob = await eventually('the failure', async () =>
    [...(await textsOfRedis(app.redis)).values()].find(
      (text) => text.includes('failing:one') && text.includes('failedReason'),
    ),
  )
  t.match(failedJob, 'Failed query')
  t.same(found([failedJob, ...lines], { password }), [])
})

t.test('K2: line breaks, escapes and quotes of a request make one line of JSON', async (t) => {
  const before = lines.length
  const evil = '\r\n{"level":"fatal","msg":"forged"}\u001b[31m\u0000\u2028"'
  const requests: InjectOptions[] = [
    { url: '/nowhere', headers: { 'user-agent': evil, 'x-request-id': evil, traceparent: evil } },
    { url: `/nowhere/${encodeURIComponent(evil)}` },
    { url: '/nowhere/\u001b[31m"quoted"\\' },
    authorized(alpha.writeKey, { method: 'POST', url: '/v1/events', payload: { event: evil, userId: 1 } }),
    { method: 'POST', url: '/v1/auth/login', payload: { email: `${evil}@example.com`, password: evil } },
  ]
  for (const request of requests) await app.inject(request)
  const written = lines.slice(before).map((line) => ({ line, parsed: JSON.parse(line) }))
  t.equal(written.filter(({ parsed }) => parsed.msg === 'request').length, requests.length, 'one for each')
  t.notOk(written.some(({ parsed }) => parsed.msg === 'forged' || parsed.level === 'fatal'))
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
  for (const { line } of written) t.notMatch(line, /[\u0000-\u001f\u007f]/)
})

t.test('K3: a fault says that there was one and which request it was, and nothing of its inside', async (t) => {
  const forced = await app.inject({ url: FORCED })
  const admin = new pg.Client({ connectionString: postgresAdminUrl })
  await admin.connect()
  t.teardown(() => admin.end())
  await admin.query('alter table users rename to users_away')
  const postgres = await app.inject(authorized(owner, { url: '/v1/me' }))
  await admin.query('alter table users_away rename to users')
  for (const answer of [forced, postgres]) {
    t.ok([500, 503].includes(answer.statusCode), answer.body)
    t.same(Object.keys(answer.json()).sort(), ['code', 'detail', 'instance', 'status', 'title', 'type'])
    t.equal(answer.json().instance, answer.headers['x-request-id'])
    t.notMatch(answer.body, /select|canary|node_modules|\.ts|pool|at /i)
  }
  t.equal(forced.statusCode, 500)
  const line = lines.find((line) => line.includes(String(forced.headers['x-request-id'])) && line.includes('forced'))
  t.ok(line, 'the log has it under the same id')
})

t.test('K1: the addresses of the databases are in no line, with Redis away neither', async (t) => {
  const other = await startLoggedApp(t)
  const [gamma] = await createTwoTenants(other.app)
  await other.redis.stop()
  await post(other.app, '/v1/auth/login', { payload: { email: gamma.email, password: gamma.password } })
  await eventually('the line about it', async () => other.lines.some((line) => line.includes('not reachable')))
  const { config: its } = other
  const passwordOf = (url: string) => new URL(url).password || new URL(url).searchParams.get('password') || url
  const secrets = {
    postgres: passwordOf(its.postgres.url),
    redis: passwordOf(its.redis.url),
    signing: its.http.jwtSecret,
    own: config.http.jwtSecret,
  }
  t.same(found([...other.lines, ...lines], secrets), [])
})

function addForcedFault(server: FastifyInstance): void {
  server.get(FORCED, { config: { access: 'public' }, schema: { hide: true } }, async () => {
    throw new Error(`a forced fault in select * from users: ${FORCED_SECRET}`)
  })
}
