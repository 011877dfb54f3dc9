import { sql } from 'drizzle-orm'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import { newId } from '../../src/ids.ts'
import { newAddress, post } from '../helpers/accounts.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { startTestMailbox, tokenIn } from '../helpers/mailbox.ts'
import { addMember, sessionOf } from '../helpers/principals.ts'
import { createTwoTenants, insertSession, type TestTenant } from '../helpers/tenants.ts'

const mailbox = await startTestMailbox(t)
const { app } = await startTestApp(t, {
  METERHOUSE_SMTP_URL: mailbox.url,
  METERHOUSE_PUBLIC_URL: 'https://meter.example',
})
const [alpha, beta] = await createTwoTenants(app)

const system = (statement: ReturnType<typeof sql>) => app.postgres.withSystem((tx) => tx.execute(statement))
const newEmail = () => `${newId('usr')}@example.org`
/** A request of a person. */
const as = (userId: string, request: InjectOptions) =>
  app.inject(authorized(sessionOf(app, userId), { remoteAddress: newAddress(), ...request }))
const urlOf = ({ organizationId }: TestTenant, rest = '') => `/v1/organizations/${organizationId}/invitations${rest}`
const invite = (userId: string, tenant: TestTenant, email: string, role = 'viewer') =>
  as(userId, { method: 'POST', url: urlOf(tenant), payload: { email, role } })
const accept = (userId: string, token: string) =>
  as(userId, { method: 'POST', url: '/v1/invitations/accept', payload: { token } })
const emailsIn = async (tenant: TestTenant) =>
  (await as(tenant.userId, { url: urlOf(tenant) })).json().data.map(({ email }: { email: string }) => email)

/** A person without an organization. */
async function aPerson(email = newEmail()) {
  const userId = newId('usr')
  await app.postgres.withSystem(async (tx) => {
    await tx.execute(
      sql`insert into users (id, email, name, password_hash) values (${userId}, ${email}, 'Ada', 'none')`,
    )
    await insertSession(tx, userId)
  })
  return { userId, email }
}

/** Invites an address and gives the token of the mail. */
async function invited(tenant: TestTenant, email: string, role = 'viewer'): Promise<string> {
  const count = mailbox.to(email).length + 1
  const answer = await invite(tenant.userId, tenant, email, role)
  if (answer.statusCode !== 201) throw new Error(answer.body)
  return tokenIn(await mailbox.next(email, count))
}

t.test('whoever is invited joins with the mailed link, in the role that was offered, and there alone', async (t) => {
  const { userId, email } = await aPerson()
  const answer = await invite(alpha.userId, alpha, email.toUpperCase(), 'developer')
  t.equal(answer.statusCode, 201, answer.body)
  t.match(answer.json(), { id: /^ivt_/, role: 'developer', invitedBy: alpha.userId })
  const mail = await mailbox.next(email)
  t.match(mail.text, 'https://meter.example/account/accept-invitation#token=')
  t.match((await as(userId, { url: '/v1/me/invitations' })).json().data, [
    { id: answer.json().id, organizationId: alpha.organizationId, organizationName: 'Test', inviterName: 'Test' },
  ])
  const joined = await accept(userId, tokenIn(mail))
  t.match(joined.json(), { id: alpha.organizationId, role: 'developer' })
  t.equal(joined.statusCode, 200)
  t.equal((await as(userId, { url: `/v1/projects/${alpha.projectId}` })).statusCode, 200)
  t.equal((await as(userId, { url: `/v1/projects/${beta.projectId}` })).statusCode, 404)
  t.same((await as(userId, { url: '/v1/me/invitations' })).json().data, [])
  t.equal((await accept(userId, tokenIn(mail))).json().code, 'organizations.invitation_not_found', 'once')
})

t.test('a person without an account registers with the address and then joins', async (t) => {
  const email = newEmail()
  const token = await invited(alpha, email)
  await post(app, '/v1/auth/register', { payload: { email, name: 'New', password: 'correct horse battery' } })
  await post(app, '/v1/auth/verify-email', { payload: { token: tokenIn(await mailbox.next(email, 2)) } })
  const login = await post(app, '/v1/auth/login', { payload: { email, password: 'correct horse battery' } })
  const request = { method: 'POST', url: '/v1/invitations/accept', payload: { token } } as const
  t.equal((await app.inject(authorized(login.json().accessToken, request))).statusCode, 200)
})

t.test("somebody else's token looks like an unknown one, and is not used up by the attempt", async (t) => {
  const [ada, eve] = [await aPerson(), await aPerson()]
  const token = await invited(alpha, ada.email)
  const visible = (answer: Awaited<ReturnType<typeof accept>>) => ({ ...answer.json(), instance: '' })
  const foreign = await accept(eve.userId, token)
  t.equal(foreign.statusCode, 404)
  t.same(visible(foreign), visible(await accept(eve.userId, 'x'.repeat(43))))
  t.same(visible(foreign), visible(await accept(beta.userId, token)))
  t.same((await as(eve.userId, { url: '/v1/me/invitations' })).json().data, [])
  t.equal((await accept(ada.userId, token)).statusCode, 200)
})

t.test('of 50 uses of a link at once one makes a membership', async (t) => {
  const { userId, email } = await aPerson()
  const token = await invited(alpha, email)
  const answers = await Promise.all(Array.from({ length: 50 }, () => accept(userId, token)))
  const statuses = answers.map(({ statusCode }) => statusCode).sort()
  t.same(statuses, [200, ...Array(49).fill(404)])
  t.equal((await system(sql`select 1 from memberships where user_id = ${userId}`)).rows.length, 1)
})

t.test('an address has one open invitation in an organization, and a member none', async (t) => {
  const email = newEmail()
  t.equal((await invite(alpha.userId, alpha, email)).statusCode, 201)
  const again = await invite(alpha.userId, alpha, email.toUpperCase(), 'admin')
  t.match(again.json(), { status: 409, code: 'organizations.already_invited' })
  t.equal((await invite(beta.userId, beta, email)).statusCode, 201, 'the other organization knows nothing of it')
  t.same((await emailsIn(beta)).includes(email), true)
  const member = await invite(alpha.userId, alpha, alpha.email.toUpperCase())
  t.match(member.json(), { status: 409, code: 'organizations.already_member' })
  t.equal((await invite(alpha.userId, alpha, beta.email)).statusCode, 201, 'a member elsewhere is a stranger here')
})

t.test(
  'an invitation ends after seven days and makes room for the next; sent again, it lasts seven more',
  async (t) => {
    const { userId, email } = await aPerson()
    const first = await invited(alpha, email)
    const expire = (left: string) =>
      system(sql`update invitations set expires_at = now() + ${left}::interval where email = ${email.toLowerCase()}`)
    await expire('1 minute')
    const { id } = (await as(userId, { url: '/v1/me/invitations' })).json().data[0]
    const resent = await as(alpha.userId, { method: 'POST', url: urlOf(alpha, `/${id}/resend`) })
    t.ok(Date.parse(resent.json().expiresAt) > Date.now() + 6.9 * 86_400_000, resent.body)
    t.equal(tokenIn(await mailbox.next(email, 2)), first, 'both mails hold the same link')
    await expire('-1 second')
    t.equal((await accept(userId, first)).statusCode, 404)
    t.notOk((await emailsIn(alpha)).includes(email))
    t.equal((await as(alpha.userId, { method: 'POST', url: urlOf(alpha, `/${id}/resend`) })).statusCode, 404)
    t.equal((await accept(userId, await invited(alpha, email))).statusCode, 200)
  },
)

t.test('a revoked invitation is worth nothing, and another organization cannot revoke it', async (t) => {
  const { userId, email } = await aPerson()
  const token = await invited(alpha, email)
  const { id } = (await as(userId, { url: '/v1/me/invitations' })).json().data[0]
  for (const action of ['', '/resend']) {
    const method = action ? 'POST' : 'DELETE'
    const foreign = await as(beta.userId, { method, url: urlOf(beta, `/${id}${action}`) })
    t.match(foreign.json(), { status: 404, code: 'organizations.invitation_not_found' })
  }
  t.equal((await as(alpha.userId, { method: 'DELETE', url: urlOf(alpha, `/${id}`) })).statusCode, 204)
  t.equal((await accept(userId, token)).statusCode, 404)
})

t.test('nobody invites above their own role, nor touches an invitation above it', async (t) => {
  const admin = await addMember(app, alpha, 'admin')
  t.equal((await invite(admin, alpha, newEmail(), 'owner')).statusCode, 403)
  t.equal((await invite(admin, alpha, newEmail(), 'admin')).statusCode, 201)
  const { id } = (await invite(alpha.userId, alpha, newEmail(), 'owner')).json()
  t.equal((await as(admin, { method: 'DELETE', url: urlOf(alpha, `/${id}`) })).statusCode, 403)
  t.equal((await as(admin, { method: 'POST', url: urlOf(alpha, `/${id}/resend`) })).statusCode, 403)
})

t.test('what a member has offered goes with them, and with their role', async (t) => {
  const owner = await addMember(app, alpha, 'owner')
  const emails = { owner: newEmail(), admin: newEmail(), viewer: newEmail() }
  for (const [role, email] of Object.entries(emails)) await invite(owner, alpha, email, role)
  const open = async () => {
    const all = await emailsIn(alpha)
    return Object.entries(emails).flatMap(([role, email]) => (all.includes(email) ? role : []))
  }
  const url = `/v1/organizations/${alpha.organizationId}/members/${owner}`
  t.same(await open(), ['owner', 'admin', 'viewer'])
  await as(alpha.userId, { method: 'PATCH', url, payload: { role: 'admin' } })
  t.same(await open(), ['admin', 'viewer'])
  await as(alpha.userId, { method: 'PATCH', url, payload: { role: 'developer' } })
  t.same(await open(), [], 'who invites nobody any more has invited nobody')
  const leaving = await addMember(app, alpha, 'admin')
  await invite(leaving, alpha, emails.viewer, 'viewer')
  t.same(await open(), ['viewer'])
  await as(alpha.userId, { method: 'DELETE', url: url.replace(owner, leaving) })
  t.same(await open(), [])
})

t.test('no token is at rest: not in the tables, the facts or the queue', async (t) => {
  const email = newEmail()
  const token = await invited(alpha, email)
  const { rows } = await system(sql`select invitations::text as row from invitations union all
    select outbox::text from outbox union all select audit_entries::text from audit_entries`)
  t.ok(rows.length > 2)
  t.notOk(rows.some(({ row }) => String(row).includes(token)))
  for (const key of await app.redis.keys('*mails*')) {
    if ((await app.redis.type(key)) === 'hash') t.notMatch(JSON.stringify(await app.redis.hgetall(key)), token)
  }
})

t.test('lists come in pages that meet, and what is not understood is refused by name', async (t) => {
  const [tenant] = await createTwoTenants(app)
  for (let count = 0; count < 4; count++) await invite(tenant.userId, tenant, newEmail())
  const read = async (query: string) => (await as(tenant.userId, { url: urlOf(tenant, query) })).json()
  const whole = await read('')
  const first = await read('?limit=3')
  t.equal(whole.data.length, 4)
  t.same([...first.data, ...(await read(`?limit=3&cursor=${first.nextCursor}`)).data], whole.data)
  const payloads = [
    [{ email: 'no address', role: 'viewer' }, '/email'],
    [{ email: newEmail(), role: 'king' }, '/role'],
    [{ email: newEmail(), role: 'viewer', invitedBy: beta.userId }, /invitedBy/],
  ] as const
  for (const [payload, path] of payloads) {
    const answer = await as(tenant.userId, { method: 'POST', url: urlOf(tenant), payload })
    t.match(answer.json(), { status: 400, errors: [{ path }] })
  }
})
