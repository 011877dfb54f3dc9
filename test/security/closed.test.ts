import { sql } from 'drizzle-orm'
import pg from 'pg'
import t from 'tap'
import { newId } from '../../src/ids.ts'
import { COOKIE, newAddress, post, refresh, refreshTokenOf, signIn, statusOfMe } from '../helpers/accounts.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { type Operation, operationsOf, sampleOf } from '../helpers/openapi-operations.ts'
import { sessionOf } from '../helpers/principals.ts'
import { createTwoTenants, sessionIdOf } from '../helpers/tenants.ts'

const OUTSIDE = '203.0.113.9'
const { app, redis, postgresAdminUrl } = await startTestApp(t)
const [alpha, beta] = await createTwoTenants(app)
const operations = await operationsOf(app)
const admin = new pg.Client({ connectionString: postgresAdminUrl })
await admin.connect()
t.teardown(() => admin.end())

/** Columns that hold what proves somebody, or what is for the operator alone. The seals of the audit log are public. */
const HIDDEN = `select table_name as table, column_name as column from information_schema.columns
  where table_schema = 'public' and column_name ~ '(hash|salt|secret)$' and table_name <> 'audit_entries' and data_type = 'text'
  or table_name = 'users' and column_name = 'operator_reason'`

t.test('B8: a cookie from before the sign-in is not the one after it, and ends with a new password', async (t) => {
  const fixed = 'f'.repeat(43)
  const login = { payload: { email: beta.email, password: beta.password }, cookies: { [COOKIE]: fixed } }
  const first = await post(app, '/v1/auth/login', login)
  t.equal(first.statusCode, 200)
  const token = refreshTokenOf(first)
  t.not(token, fixed)
  t.equal((await refresh(app, fixed)).statusCode, 401, 'the one that was planted opens nothing')
  const second = refreshTokenOf(await post(app, '/v1/auth/login', { ...login, cookies: { [COOKIE]: token } }))
  t.not(second, token, 'nor does a sign-in go on with the cookie that was there')
  const { accessToken } = first.json()
  const payload = { currentPassword: beta.password, newPassword: 'another passphrase of mine' }
  const request = { method: 'POST', url: '/v1/me/password', payload, remoteAddress: newAddress() } as const
  const changed = await app.inject(authorized(accessToken, request))
  t.ok(changed.statusCode < 300, changed.body)
  t.equal((await refresh(app, second)).statusCode, 401, 'the other session is over')
})

t.test('B1: no token that somebody else made is taken, whatever its header says about its key', async (t) => {
  const claims = {
    typ: 'session',
    sub: alpha.userId,
    sid: sessionIdOf(alpha.userId),
    exp: Math.floor(Date.now() / 1000) + 600,
  }
  const real = app.jwt.sign(claims)
  t.equal(await statusOfMe(app, real), 200)
  const { kid } = JSON.parse(Buffer.from(real.split('.')[0] ?? '', 'base64url').toString())
  const forger = 'a secret of the forger, long enough to sign with'
  const header = (fields: object) => ({ header: { typ: 'JWT', kid, ...fields } }) as object
  const signed = (fields: object, key = forger) => app.jwt.sign(claims, { key, ...header(fields) } as object)
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const [, body = '', signature = ''] = real.split('.')
  const forgeries: Record<string, string> = {
    'another key under our name': signed({}),
    'a key in the header': signed({ jwk: { kty: 'oct', k: Buffer.from(forger).toString('base64url') } }),
    'the address of a key': signed({ jku: 'https://evil.example/jwks.json' }),
    'the address of a certificate': signed({ x5u: 'https://evil.example/cert.pem' }),
    'a certificate': signed({ x5c: ['MIIB'] }),
    'a key that is a file': signed({ kid: '../../../../dev/null' }, ' '),
    'a key that is a query': signed({ kid: `x' union select 'a` }),
    'a key of the prototype': signed({ kid: '__proto__' }),
    'a critical field': signed({ crit: ['exp'] }, undefined),
    'no algorithm': `${part({ alg: 'none', typ: 'JWT', kid })}.${body}.`,
    'no algorithm, in capitals': `${part({ alg: 'NONE', typ: 'JWT', kid })}.${body}.${signature}`,
    'an algorithm with public keys': `${part({ alg: 'RS256', typ: 'JWT', kid })}.${body}.${signature}`,
    'an empty algorithm': `${part({ alg: '', typ: 'JWT', kid })}.${body}.${signature}`,
    'no signature': `${real.split('.').slice(0, 2).join('.')}.`,
    'one part more': `${real}.${signature}`,
  }
  for (const [what, token] of Object.entries(forgeries)) {
    const answer = await app.inject(authorized(token, { url: '/v1/me' }))
    t.equal(answer.statusCode, 401, what)
    t.match(answer.json(), { code: 'auth.unauthenticated' })
  }
})

t.test('B3: a token acts for what it was made for, for its time, and by all of its claims', async (t) => {
  const now = Math.floor(Date.now() / 1000)
  const claims = { typ: 'session', sub: alpha.userId, sid: sessionIdOf(alpha.userId), exp: now + 600 }
  const { refreshToken } = await signIn(app, beta).catch(() => ({ refreshToken: 'r'.repeat(43) }))
  const wrong: Record<string, string> = {
    'no end': app.jwt.sign({ ...claims, exp: undefined }),
    over: app.jwt.sign({ ...claims, exp: now - 1 }),
    'not yet': app.jwt.sign({ ...claims, nbf: now + 60 }),
    'another issuer': app.jwt.sign(claims, { iss: 'https://evil.example' }),
    'another type': app.jwt.sign({ ...claims, typ: 'refresh' }),
    'no type': app.jwt.sign({ ...claims, typ: undefined }),
    'a refresh token': refreshToken,
    'the token of a link': 'l'.repeat(43),
    'a session of another person': app.jwt.sign({ ...claims, sub: beta.userId }),
    'a project for a person': app.jwt.sign({ ...claims, sub: alpha.projectId }),
    'a session that is not there': app.jwt.sign({ ...claims, sid: newId('ses') }),
  }
  for (const [what, token] of Object.entries(wrong)) t.equal(await statusOfMe(app, token), 401, what)
  const viewer = app.jwt.sign({ typ: 'viewer', sub: alpha.projectId, exp: now + 600 })
  t.equal(await statusOfMe(app, viewer), 403, 'a token that watches a project is no person')
  t.equal(await statusOfMe(app, alpha.writeKey), 403, 'nor is a write key')
  const url = `/v1/organizations/${alpha.organizationId}/members`
  t.equal((await app.inject(authorized(alpha.writeKey, { url }))).statusCode, 403)
})

t.test('K5: of the audit log both roles of the server may read and add, and nothing else', async (t) => {
  const { rows } = await admin.query(`select role, privilege from
    unnest('{meterhouse_app,meterhouse_system}'::text[]) role,
    unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) privilege
    where has_table_privilege(role, 'audit_entries', privilege) or
      privilege in ('UPDATE', 'REFERENCES') and has_any_column_privilege(role, 'audit_entries', privilege)
    order by 1, 2`)
  const allowed = (role: string) => ['INSERT', 'SELECT'].map((privilege) => ({ role, privilege }))
  t.same(rows, [...allowed('meterhouse_app'), ...allowed('meterhouse_system')])
})

t.test('K6: from outside there are no metrics, no inspector, no sources and no files beside the routes', async (t) => {
  const absent = (await app.inject({ url: '/nowhere', remoteAddress: OUTSIDE })).json()
  const paths = [
    '/metrics',
    '/metrics/',
    '/json',
    '/json/version',
    '/debug',
    '/debug/pprof',
    '/heapdump',
    '/inspector',
    '/queues',
    '/admin/queues',
    '/bull',
    '/.git/config',
    '/.git/HEAD',
    '/.env',
    '/package.json',
    '/package-lock.json',
    '/node_modules/pg/package.json',
    '/src/server.ts',
    '/start-page.js.map',
    '/account.js.map',
    '/docs/../../package.json',
    '/docs/%2e%2e/%2e%2e/package.json',
    '/server-status',
    '/migrations/roles.sql',
  ]
  for (const url of paths) {
    const answer = await app.inject({ url, remoteAddress: OUTSIDE })
    t.equal(answer.statusCode, 404, url)
    t.match(answer.json(), { code: absent.code, title: absent.title })
  }
  const forwarded = { 'x-forwarded-for': '127.0.0.1', forwarded: 'for=127.0.0.1', 'x-real-ip': '127.0.0.1' }
  t.equal((await app.inject({ url: '/metrics', remoteAddress: OUTSIDE, headers: forwarded })).statusCode, 404)
  t.equal((await app.inject(authorized('guess', { url: '/metrics', remoteAddress: OUTSIDE }))).statusCode, 404)
})

t.test('D3: what is stored to check a secret is in no answer', async (t) => {
  const organization = `/v1/organizations/${alpha.organizationId}`
  const as = (request: object) =>
    app.inject(authorized(sessionOf(app, alpha.userId), { remoteAddress: newAddress(), ...request }))
  const invitation = await as({
    method: 'POST',
    url: `${organization}/invitations`,
    payload: { email: 'a@example.com', role: 'viewer' },
  })
  const role = await as({
    method: 'POST',
    url: `${organization}/roles`,
    payload: { name: 'R', permissions: ['query:read'] },
  })
  await post(app, '/v1/auth/forgot-password', { payload: { email: alpha.email } })
  await signIn(app, alpha)
  const { rows } = await admin.query<{ table: string; column: string }>(HIDDEN)
  t.ok(rows.length >= 7, rows.map(({ table, column }) => `${table}.${column}`).join(', '))
  const canaries: string[] = []
  let touched = 0
  for (const { table, column } of rows) {
    canaries.push(`canary-${table}-${column}`)
    // Hashes are unique, so each row has its own.
    const { rowCount } = await admin.query(`update ${table} set ${column} = 'canary-${table}-${column}' || ctid::text`)
    touched += rowCount ?? 0
  }
  t.ok(touched >= 10, `${touched} values`)
  const ids: Record<string, string> = {
    projectId: alpha.projectId,
    organizationId: alpha.organizationId,
    userId: alpha.userId,
    keyId: alpha.writeKeyId,
    sessionId: sessionIdOf(alpha.userId),
    invitationId: invitation.json().id,
    roleId: role.json().id,
  }
  const requestOf = ({ method, path, body, parameters }: Operation) => ({
    method,
    url: path.replace(/\{(\w+)\}/g, (_, name: string) => ids[name] ?? 'nothing'),
    query: Object.fromEntries(
      parameters.filter((p) => p.in === 'query' && p.required).map((p) => [p.name, String(sampleOf(p.schema))]),
    ),
    ...(body ? { payload: sampleOf(body) as object } : {}),
  })
  const harmless = operations.filter(
    ({ method, path }) => method !== 'DELETE' && !/logout|leave|transfer|deletion/.test(path),
  )
  let answered = 0
  for (const operation of harmless) {
    const answer = await as(requestOf(operation))
    if (answer.statusCode < 300) answered++
    const shown = canaries.filter(
      (value) => answer.body.includes(value) || JSON.stringify(answer.headers).includes(value),
    )
    t.same(shown, [], `${operation.method} ${operation.path}`)
  }
  t.ok(answered > 30, `${answered} of ${harmless.length} with success`)
})

t.test('K4: while nobody can count attempts nobody signs in, registers or uses a link', async (t) => {
  await redis.stop()
  const refused = operations.filter(({ path, method }) => method === 'POST' && /^\/v1\/auth\/(?!logout)/.test(path))
  t.ok(refused.length >= 6, refused.map(({ path }) => path).join(', '))
  for (const operation of refused) {
    const payload = operation.body ? (sampleOf(operation.body) as object) : {}
    const answer = await post(app, operation.path, { payload })
    t.equal(answer.statusCode, 503, `${operation.path}: ${answer.body}`)
    t.ok(answer.headers['retry-after'])
    t.notOk(answer.headers['set-cookie'])
  }
  const { rows } = await app.postgres.withSystem((tx) => tx.execute(sql`select 1 as one`))
  t.equal(rows.length, 1, 'the database was there all the time')
})
