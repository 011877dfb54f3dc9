import { sql } from 'drizzle-orm'
import t from 'tap'
import { createAuditService } from '../../src/domains/audit/index.ts'
import { memberships } from '../../src/domains/organizations/tables.ts'
import { newId } from '../../src/ids.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)
const audit = createAuditService(app)

const entriesOf = async ({ organizationId }: TestTenant) => (await audit.list({ organizationId }, { limit: 50 })).data

async function signIn({ email, password }: TestTenant, remoteAddress: string) {
  const answer = await app.inject({
    method: 'POST',
    url: '/v1/auth/login',
    payload: { email, password },
    remoteAddress,
  })
  if (answer.statusCode !== 200) throw new Error(answer.body)
  const cookies = Object.fromEntries(answer.cookies.map(({ name, value }) => [name, value]))
  return { token: answer.json().accessToken as string, cookies }
}

t.test('signing in and out is told to each organization of the person, and to no other', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const [second, stranger] = await createTwoTenants(app)
  await app.postgres.withSystem((tx) =>
    tx
      .insert(memberships)
      .values({ id: newId('mem'), organizationId: second.organizationId, userId: alpha.userId, role: 'viewer' }),
  )
  const { token } = await signIn(alpha, '192.0.2.10')
  await signIn(beta, '192.0.2.11')
  const logout = { method: 'POST', url: '/v1/auth/logout', remoteAddress: '192.0.2.12' } as const
  t.equal((await app.inject(authorized(token, logout))).statusCode, 204)
  for (const tenant of [alpha, second]) {
    const entries = await entriesOf(tenant)
    const actor = { kind: 'user', id: alpha.userId, name: 'Test' }
    t.match(entries, [
      { action: 'session.ended', actor, ip: '192.0.2.12', after: { endedBy: 'logout' }, projectId: null },
      { action: 'session.started', actor, ip: '192.0.2.10', userAgent: 'lightMyRequest', target: { kind: 'session' } },
    ])
    t.equal(entries.length, 2)
    t.match(await audit.verify(tenant.organizationId), { entries: 2, broken: null })
  }
  t.match(await entriesOf(beta), [{ action: 'session.started', actor: { id: beta.userId } }])
  t.same(await entriesOf(stranger), [])
})

t.test('signing out everywhere names each session that ended', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const { token } = await signIn(alpha, '192.0.2.20')
  await app.inject(authorized(token, { method: 'POST', url: '/v1/auth/logout-everywhere' }))
  const ended = (await entriesOf(alpha)).filter(({ action }) => action === 'session.ended')
  t.equal(new Set(ended.map(({ target }) => target.id)).size, 2, 'the one of the fixture and the one just begun')
  t.same(await entriesOf(beta), [])
})

t.test('a refresh token that came back after its grace is written down with where it came from', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const { cookies } = await signIn(alpha, '192.0.2.30')
  const refresh = (remoteAddress: string) =>
    app.inject({ method: 'POST', url: '/v1/auth/refresh', cookies, remoteAddress })
  t.equal((await refresh('192.0.2.30')).statusCode, 200)
  await app.postgres.withSystem((tx) =>
    tx.execute(sql`update refresh_tokens set spent_at = spent_at - interval '11 s' where spent_at is not null`),
  )
  t.equal((await refresh('203.0.113.66')).statusCode, 401)
  const entries = await entriesOf(alpha)
  t.match(entries, [
    { action: 'session.token_reused', ip: '203.0.113.66', actor: { id: alpha.userId } },
    { action: 'session.started', ip: '192.0.2.30' },
  ])
  t.equal(entries.length, 2)
  t.notMatch(JSON.stringify(entries), Object.values(cookies)[0] ?? '', 'without the token')
  t.same(await entriesOf(beta), [])
})

const signInWith = (email: string, password: string, remoteAddress: string) =>
  app.inject({ method: 'POST', url: '/v1/auth/login', payload: { email, password }, remoteAddress })

t.test('wrong passwords are told to the organizations of the account, and a flood of them fills no log', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const refused = async () => (await entriesOf(alpha)).filter(({ action }) => action === 'session.refused')
  for (let i = 0; i < 8; i++) await signInWith(alpha.email, 'not the password', '198.51.100.1')
  await eventually('the entry', async () => (await refused()).length > 0)
  for (let i = 0; i < 30; i++) await signInWith(alpha.email, 'not the password', `198.51.101.${i}`)
  // What is written later than all of these shows that they are through: the entries of an organization follow each other.
  await eventually('as many as an hour may tell', async () => (await refused()).length >= 20)
  await signIn(alpha, '198.51.100.9')
  const entries = await refused()
  t.equal(entries.length, 20)
  t.equal(entries.filter(({ ip }) => ip === '198.51.100.1').length, 1, 'one of a network')
  const target = { kind: 'user', id: alpha.userId }
  t.match(entries[0], { target, ip: /^198\.51\.101\./, projectId: null })
  t.notMatch(JSON.stringify(entries), 'not the password')
  t.match(await audit.verify(alpha.organizationId), { broken: null })
  t.same(await entriesOf(beta), [])
})

t.test('a new password is told to the organizations of the person, with where it came from', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const { token } = await signIn(alpha, '192.0.2.40')
  const change = (newPassword: string) => ({
    method: 'POST' as const,
    url: '/v1/me/password',
    payload: { currentPassword: alpha.password, newPassword },
    remoteAddress: '192.0.2.41',
  })
  t.equal((await app.inject(authorized(token, change('a new password of mine')))).statusCode, 204)
  const [last] = await entriesOf(alpha)
  const target = { kind: 'user', id: alpha.userId }
  t.match(last, { action: 'account.password_changed', target, ip: '192.0.2.41', after: { by: 'person' } })
  t.same(await entriesOf(beta), [])
})
