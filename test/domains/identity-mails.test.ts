import { sql } from 'drizzle-orm'
import t from 'tap'
import { render, verificationMail } from '../../src/domains/identity/mails/templates.ts'
import { hashToken } from '../../src/domains/identity/refresh-token.ts'
import { newId } from '../../src/ids.ts'
import { post, refresh, signIn } from '../helpers/accounts.ts'
import { eventually, startTestApp } from '../helpers/app.ts'
import { startTestMailbox, tokenIn } from '../helpers/mailbox.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const mailbox = await startTestMailbox(t)
const { app } = await startTestApp(t, {
  METERHOUSE_SMTP_URL: mailbox.url,
  METERHOUSE_PUBLIC_URL: 'https://meter.example',
})
const [alpha, beta] = await createTwoTenants(app)

const newEmail = () => `${newId('usr')}@example.org`
const system = (statement: ReturnType<typeof sql>) => app.postgres.withSystem((tx) => tx.execute(statement))
const register = (email: string, headers: Record<string, string> = {}) =>
  post(app, '/v1/auth/register', { headers, payload: { email, name: 'Ada', password: 'correct horse battery' } })
const forgot = (email: string) => post(app, '/v1/auth/forgot-password', { payload: { email } })

t.test('a link leads to the configured address, whatever the request calls this server', async (t) => {
  const email = newEmail()
  await register(email, { host: 'evil.example', 'x-forwarded-host': 'evil.example' })
  const { text } = await mailbox.next(email)
  t.match(text, 'https://meter.example/account/verify-email#token=')
  t.notMatch(text, 'evil.example')
})

t.test('the pages that links lead to are there', async (t) => {
  for (const page of [
    'verify-email',
    'reset-password',
    'forgot-password',
    'confirm-email-change',
    'accept-invitation',
  ]) {
    const answer = await app.inject({ url: `/account/${page}` })
    t.match(answer.body, `<form id="${page}"`)
  }
  t.equal((await app.inject({ url: '/account.js' })).statusCode, 200)
})

t.test('a fact that is published again is mailed once', async (t) => {
  const email = newEmail()
  await register(email)
  const { messageId } = await mailbox.next(email)
  await system(sql`update outbox set published_at = null where kind = 'identity.registration_requested'`)
  const later = newEmail()
  await register(later)
  await mailbox.next(later)
  t.equal(mailbox.to(email).length, 1)
  const { rows } = await system(sql`select id from outbox where payload ->> 'proofId' in
    (select id from mailbox_proofs where email = ${email})`)
  t.equal(messageId, `<${rows[0]?.id}@meter.example>`, 'and a copy of a mail could be told from another mail')
})

t.test('a mail that the server refuses is not lost: it is tried again', async (t) => {
  mailbox.state.refusals = 1
  const email = newEmail()
  await register(email)
  await eventually('the refusal', async () => mailbox.state.refused === 1)
  const mail = await mailbox.next(email)
  t.equal((await post(app, '/v1/auth/verify-email', { payload: { token: tokenIn(mail) } })).statusCode, 204)
})

t.test('whose refresh token was replayed is told, with the device, and nobody else is', async (t) => {
  const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
  const { refreshToken } = await signIn(app, alpha, { headers: { 'user-agent': firefox } })
  await refresh(app, refreshToken)
  await system(
    sql`update refresh_tokens set spent_at = now() - interval '11 s' where hash = ${hashToken(refreshToken)}`,
  )
  for (let i = 0; i < 3; i++) t.equal((await refresh(app, refreshToken)).statusCode, 401)
  const REUSED = /^We signed one of your devices out$/
  const alarm = await mailbox.next(alpha.email, 1, REUSED)
  t.match(alarm, { text: /Firefox on Linux/ })
  const marker = newEmail()
  await register(marker)
  await mailbox.next(marker)
  t.equal(mailbox.about(alpha.email, REUSED).length, 1)
  t.same(mailbox.to(beta.email), [])
})

t.test('a sign-in from another device or network is mailed, and one from a known place is not', async (t) => {
  const [gamma, delta] = await createTwoTenants(app)
  const NEW = /^New sign-in to your account$/
  const chrome = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'
  const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
  const from = (userAgent: string, remoteAddress: string) =>
    signIn(app, gamma, { headers: { 'user-agent': userAgent }, remoteAddress })
  await from(firefox, '203.0.113.1')
  t.match((await mailbox.next(gamma.email, 1, NEW)).text, /Firefox on Linux. Address: 203.0.113.1/)
  await from(firefox.replaceAll('140', '141'), '203.0.113.1')
  await from(chrome, '203.0.113.1')
  t.match((await mailbox.next(gamma.email, 2, NEW)).text, /Chrome on Linux/)
  await from(chrome, '203.0.113.2')
  t.match((await mailbox.next(gamma.email, 3, NEW)).text, /Address: 203.0.113.2/)
  for (const [userAgent, ip] of [
    [firefox, '203.0.113.1'],
    [chrome, '203.0.113.1'],
    [chrome, '203.0.113.2'],
  ] as const)
    await from(userAgent, ip)
  const marker = newEmail()
  await register(marker)
  await mailbox.next(marker)
  t.equal(mailbox.about(gamma.email, NEW).length, 3)
  t.same(mailbox.to(delta.email), [])
})

t.test('a new account is welcomed, and its first sign-in is no news; a password that changes is', async (t) => {
  const email = newEmail()
  await register(email)
  const token = tokenIn(await mailbox.next(email))
  t.equal((await post(app, '/v1/auth/verify-email', { payload: { token } })).statusCode, 204)
  t.match((await mailbox.next(email, 1, /^Welcome/)).text, 'https://meter.example/')
  const { accessToken } = await signIn(app, { email, password: 'correct horse battery' })
  const payload = { currentPassword: 'correct horse battery', newPassword: 'a new password of mine' }
  await post(app, '/v1/me/password', { payload, headers: { authorization: `Bearer ${accessToken}` } })
  const { text } = await mailbox.next(email, 1, /^Your password was changed$/)
  t.match(text, 'https://meter.example/account/forgot-password')
  t.match(text, /text\/plain[\s\S]*text\/html/, 'as text and as a page')
  t.equal(mailbox.to(email).length, 3)
  await system(sql`delete from sessions where user_id = (select id from users where email = ${email})`)
  await system(sql`update users set created_at = now() - interval '2 days' where email = ${email}`)
  await signIn(app, { email, password: 'a new password of mine' })
  await mailbox.next(email, 1, /^New sign-in/)
})

t.test('a flood of requests mails an address five links an hour, and the next hour has its own', async (t) => {
  // The counter of the door ends after a quarter of an hour; then the mailing still counts the links of the hour.
  const laterThanTheDoorCounts = async () => {
    for (const key of await app.redis.keys('mails:*')) await app.redis.del(key)
  }
  for (let i = 0; i < 5; i++) t.equal((await forgot(beta.email)).statusCode, 202)
  t.equal((await forgot(beta.email)).json().code, 'identity.too_many_mails')
  await laterThanTheDoorCounts()
  for (let i = 0; i < 4; i++) t.equal((await forgot(beta.email)).statusCode, 202)
  await mailbox.next(beta.email, 5)
  const rest = () => system(sql`select 1 from mailbox_proofs where email = ${beta.email}`)
  await eventually('the end of what is not mailed', async () => (await rest()).rows.length === 5)
  t.equal(mailbox.to(beta.email).length, 5)
  const payload = { token: tokenIn(await mailbox.next(beta.email, 3)), password: 'a new password of mine' }
  await system(sql`update mailbox_proofs set created_at = now() - interval '61 minutes' where email = ${beta.email}`)
  await laterThanTheDoorCounts()
  await forgot(beta.email)
  await mailbox.next(beta.email, 6)
  t.equal((await post(app, '/v1/auth/reset-password', { payload })).statusCode, 204, 'what was mailed works')
})

t.test('what a person calls themselves is text in a mail and nothing else', (t) => {
  const { html, text } = render(
    'ada@example.org',
    verificationMail('<img src=x onerror=alert(1)>', 'https://a.example/?b&c'),
  )
  t.notMatch(html, '<img')
  t.match(html, 'href="https://a.example/?b&amp;c"')
  t.match(text, 'https://a.example/?b&c')
  t.end()
})
