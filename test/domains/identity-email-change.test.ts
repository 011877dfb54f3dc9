import { sql } from 'drizzle-orm'
import t from 'tap'
import { createAuditService } from '../../src/domains/audit/index.ts'
import { newId } from '../../src/ids.ts'
import { newAddress, post, signIn, statusOfMe } from '../helpers/accounts.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { startTestMailbox, tokenIn } from '../helpers/mailbox.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const mailbox = await startTestMailbox(t)
const { app } = await startTestApp(t, { METERHOUSE_SMTP_URL: mailbox.url })
const audit = createAuditService(app)

const CONFIRM = /^Confirm your new address$/
const newEmail = () => `${newId('usr')}@example.org`
const system = (statement: ReturnType<typeof sql>) => app.postgres.withSystem((tx) => tx.execute(statement))
const loginStatus = async (email: string, password: string) =>
  (await post(app, '/v1/auth/login', { payload: { email, password } })).statusCode
const confirm = (token: string) => post(app, '/v1/auth/confirm-email-change', { payload: { token } })
const actionsOf = async ({ organizationId }: TestTenant) =>
  (await audit.list({ organizationId }, { limit: 50 })).data.filter(({ action }) => action.startsWith('account.'))

function ask(accessToken: string, email: string, password: string) {
  const request = { method: 'POST', url: '/v1/me/email', payload: { email, password } } as const
  return app.inject(authorized(accessToken, { ...request, remoteAddress: newAddress() }))
}

/** The token that is mailed for a change to an address. */
async function askedFor(tenant: TestTenant, email: string): Promise<string> {
  const { accessToken } = await signIn(app, tenant)
  const count = mailbox.about(email, CONFIRM).length + 1
  if ((await ask(accessToken, email, tenant.password)).statusCode !== 202) throw new Error('not asked')
  return tokenIn(await mailbox.next(email, count, CONFIRM))
}

t.test(
  'an address changes when the new mailbox confirms it, once; the old one is told and nobody is signed out',
  async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    const { accessToken } = await signIn(app, alpha)
    const email = newEmail()
    const token = await askedFor(alpha, email)
    t.equal(await loginStatus(alpha.email, alpha.password), 200, 'before that nothing has changed')
    const answers = await Promise.all(Array.from({ length: 5 }, () => confirm(token)))
    t.same(answers.map(({ statusCode }) => statusCode).sort(), [204, 422, 422, 422, 422])
    t.equal(await loginStatus(alpha.email, alpha.password), 401)
    t.equal(await loginStatus(email, alpha.password), 200)
    t.equal(await statusOfMe(app, accessToken), 200)
    const notice = await mailbox.next(alpha.email, 1, /^Your address was changed$/)
    t.notMatch(notice.text, email, 'without the new address')
    const entry = { action: 'account.email_changed', target: { kind: 'user', id: alpha.userId } }
    t.match(await actionsOf(alpha), [{ ...entry, before: { email: alpha.email }, after: { email } }])
    t.same(await actionsOf(beta), [])
  },
)

t.test('a wrong password asks for nothing', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const { accessToken } = await signIn(app, alpha)
  const answer = await ask(accessToken, newEmail(), 'not the password')
  t.match(answer.json(), { status: 422, code: 'identity.wrong_password', errors: [{ path: '/password' }] })
  t.equal((await system(sql`select 1 from mailbox_proofs where user_id = ${alpha.userId}`)).rows.length, 0)
})

t.test('a taken address is answered like a free one, and its owner alone learns of it', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const { accessToken } = await signIn(app, alpha)
  const [taken, free] = [
    await ask(accessToken, beta.email.toUpperCase(), alpha.password),
    await ask(accessToken, newEmail(), alpha.password),
  ]
  t.same([taken.statusCode, taken.body], [free.statusCode, free.body])
  t.equal(tokenIn(await mailbox.next(beta.email, 1, /stays yours/)), '')
})

t.test('an address that somebody takes meanwhile is refused like a used link', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const email = newEmail()
  const token = await askedFor(alpha, email)
  await system(sql`update users set email = ${email.toUpperCase()} where id = ${beta.userId}`)
  t.match((await confirm(token)).json(), { status: 422, code: 'identity.link_not_valid', errors: [{ path: '/token' }] })
  t.equal(await loginStatus(alpha.email, alpha.password), 200)
})

t.test('a new password takes back a change that is on its way, and a change the link for a new password', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const [stolen, wanted] = [await askedFor(alpha, newEmail()), await askedFor(beta, newEmail())]
  for (const { email } of [alpha, beta]) await post(app, '/v1/auth/forgot-password', { payload: { email } })
  const linkOf = async ({ email }: TestTenant) => tokenIn(await mailbox.next(email, 1, /^Set a new password$/))
  const reset = (token: string) =>
    post(app, '/v1/auth/reset-password', { payload: { token, password: 'a new password of mine' } })
  t.equal((await reset(await linkOf(alpha))).statusCode, 204)
  t.equal((await confirm(stolen)).statusCode, 422)
  const link = await linkOf(beta)
  t.equal((await confirm(wanted)).statusCode, 204)
  await system(sql`update users set email = ${beta.email} where id = ${alpha.userId}`)
  t.equal((await reset(link)).statusCode, 422, 'even when the old address is another’s by now')
})

t.test('the link is too old after a day, and only its hash is stored', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const token = await askedFor(alpha, newEmail())
  const { rows } = await system(sql`select * from mailbox_proofs where user_id = ${alpha.userId}`)
  const [createdAt, expiresAt] = [rows[0]?.created_at, rows[0]?.expires_at].map((at) => Date.parse(String(at)))
  t.ok(Math.abs(Number(expiresAt) - Number(createdAt) - 24 * 3_600_000) <= 2000)
  t.notMatch(JSON.stringify(rows), token)
  await system(sql`update mailbox_proofs set expires_at = now() where user_id = ${alpha.userId}`)
  t.equal((await confirm(token)).statusCode, 422)
})
