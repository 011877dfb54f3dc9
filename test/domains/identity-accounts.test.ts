import { Writable } from 'node:stream'
import { hash } from 'argon2'
import { eq, sql } from 'drizzle-orm'
import t from 'tap'
import { buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { createTurns } from '../../src/domains/identity/passwords.ts'
import { users } from '../../src/domains/identity/tables.ts'
import { loggerOptions } from '../../src/http/request-log.ts'
import { newId } from '../../src/ids.ts'
import { COOKIE, newAddress, post, refresh, refreshTokenOf, signIn, statusOfMe } from '../helpers/accounts.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { startTestMailbox, tokenIn } from '../helpers/mailbox.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const mailbox = await startTestMailbox(t)
const { app, environment } = await startTestApp(t, { METERHOUSE_SMTP_URL: mailbox.url })
const [alpha, beta] = await createTwoTenants(app)

const PASSWORD = 'correct horse battery'
const RESET = /^Set a new password$/
const newEmail = () => `${newId('usr')}@example.org`
const system = (statement: ReturnType<typeof sql>) => app.postgres.withSystem((tx) => tx.execute(statement))
const ask = (action: string, payload: object) => post(app, `/v1/auth/${action}`, { payload })
const register = (payload: object) => ask('register', { name: 'Ada', password: PASSWORD, ...payload })
const loginStatus = async (email: string, password: string) =>
  (await post(app, '/v1/auth/login', { payload: { email, password } })).statusCode

/** An account of its own, made as a person makes one. */
async function makeAccount(email = newEmail(), password = PASSWORD) {
  await register({ email, password })
  const token = tokenIn(await mailbox.next(email))
  if ((await ask('verify-email', { token })).statusCode !== 204) throw new Error('the account was not made')
  return { email, password }
}

/** The token of the next link that sets a new password. */
async function askForReset(email: string): Promise<string> {
  const count = mailbox.about(email, RESET).length + 1
  await ask('forgot-password', { email })
  return tokenIn(await mailbox.next(email, count, RESET))
}

t.test('a person registers, confirms the address and owns an organization; before that there is nothing', async (t) => {
  const email = newEmail()
  const answer = await register({ email, organizationName: 'Analytical Engines' })
  t.equal(answer.statusCode, 202, answer.body)
  const mail = await mailbox.next(email)
  t.equal(await loginStatus(email, PASSWORD), 401, 'no account')
  t.equal((await system(sql`select 1 from organizations where name = 'Analytical Engines'`)).rows.length, 0)
  t.equal((await ask('verify-email', { token: tokenIn(mail) })).statusCode, 204)
  const { accessToken } = await signIn(app, { email, password: PASSWORD })
  const me = (await app.inject(authorized(accessToken, { url: '/v1/me' }))).json()
  t.match(me, { email, name: 'Ada', memberships: [{ name: 'Analytical Engines', role: 'owner' }] })
  t.equal(me.memberships.length, 1)
})

t.test('an account without an organization belongs to none', async (t) => {
  const { accessToken } = await signIn(app, await makeAccount())
  t.same((await app.inject(authorized(accessToken, { url: '/v1/me' }))).json().memberships, [])
})

t.test('an address that has an account is answered like any other, and its owner is told', async (t) => {
  const unknown = newEmail()
  const [taken, free] = [await register({ email: alpha.email.toUpperCase() }), await register({ email: unknown })]
  t.equal(taken.statusCode, free.statusCode)
  t.equal(taken.body, free.body)
  const names = (answer: typeof taken) => Object.keys(answer.headers).sort()
  t.same(names(taken), names(free))
  const [toOwner, toStranger] = [await mailbox.next(alpha.email, 1, /already/), await mailbox.next(unknown)]
  t.match(toOwner.subject, /already have an account/)
  t.equal(tokenIn(toOwner), '', 'with nothing in it that makes an account')
  t.match(toStranger.subject, /Confirm/)
  t.equal(await loginStatus(alpha.email, alpha.password), 200, 'and nothing has changed')
  t.equal(await loginStatus(alpha.email, PASSWORD), 401)
})

t.test('a link that confirms works once, of many uses at once one, and not after a day', async (t) => {
  const email = newEmail()
  await register({ email, organizationName: 'Once' })
  const token = tokenIn(await mailbox.next(email))
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask('verify-email', { token })))
  t.same(answers.map(({ statusCode }) => statusCode).sort(), [204, ...Array(19).fill(422)])
  t.equal((await system(sql`select 1 from organizations where name = 'Once'`)).rows.length, 1)
  const late = newEmail()
  await register({ email: late })
  const lateToken = tokenIn(await mailbox.next(late))
  await system(sql`update mailbox_proofs set expires_at = now() where email = ${late}`)
  const refused = await ask('verify-email', { token: lateToken })
  t.match(refused.json(), { status: 422, code: 'identity.link_not_valid', errors: [{ path: '/token' }] })
})

t.test('two registrations of one address make one account: that of the link that was used', async (t) => {
  const email = newEmail()
  await register({ email, password: 'the password of one' })
  const first = tokenIn(await mailbox.next(email))
  await register({ email: email.toUpperCase(), password: 'the password of two' })
  const second = tokenIn(await mailbox.next(email, 2))
  t.equal((await ask('verify-email', { token: second })).statusCode, 204)
  t.equal((await ask('verify-email', { token: first })).statusCode, 422)
  t.equal(await loginStatus(email, 'the password of two'), 200)
  t.equal(await loginStatus(email, 'the password of one'), 401)
})

t.test('a new password is set by the mailed link, once, and ends every session of the person alone', async (t) => {
  const account = await makeAccount()
  const [first, second] = [await signIn(app, account), await signIn(app, account)]
  const other = await signIn(app, beta)
  const token = await askForReset(account.email)
  const earlier = await askForReset(account.email)
  const reset = (password: string, link = token) => ask('reset-password', { token: link, password })
  t.equal((await reset('too short')).statusCode, 400)
  t.equal((await reset('a new password of mine')).statusCode, 204, 'what was refused has not used it up')
  t.equal((await reset('another new password')).statusCode, 422)
  t.equal((await reset('another new password', earlier)).statusCode, 422, 'nor does another link that was on its way')
  for (const { accessToken, refreshToken } of [first, second]) {
    t.equal(await statusOfMe(app, accessToken), 401)
    t.equal((await refresh(app, refreshToken)).statusCode, 401)
  }
  t.equal(await statusOfMe(app, other.accessToken), 200)
  t.equal(await loginStatus(account.email, PASSWORD), 401)
  t.equal(await loginStatus(account.email, 'a new password of mine'), 200)
})

t.test('of many who use one link at once one sets the password', async (t) => {
  const { email } = await makeAccount()
  const token = await askForReset(email)
  const passwords = Array.from({ length: 8 }, (_, index) => `the password of number ${index}`)
  let crossing: ReturnType<typeof ask>[] = []
  await app.postgres.withSystem(async (tx) => {
    await tx.select().from(users).where(eq(users.email, email)).for('update')
    crossing = passwords.map((password) => ask('reset-password', { token, password }))
    // Two at least have found the link good before one of them is done.
    const waiting = sql`select 1 from pg_locks where not granted`
    await eventually('the wait', async () => (await tx.execute(waiting)).rows.length >= 2)
  })
  const answers = await Promise.all(crossing)
  t.same(answers.map(({ statusCode }) => statusCode).sort(), [204, ...Array(7).fill(422)])
  const winner = passwords[answers.findIndex(({ statusCode }) => statusCode === 204)] ?? ''
  t.equal(await loginStatus(email, winner), 200)
})

t.test('a sign-in that crosses a new password does not survive it', async (t) => {
  const { email } = await makeAccount()
  let crossing: Promise<number> | undefined
  await app.postgres.withSystem(async (tx) => {
    await tx.update(users).set({ passwordHash: 'the new one' }).where(eq(users.email, email))
    crossing = loginStatus(email, PASSWORD)
    // It has found the old password to be right, and waits to begin its session.
    await eventually('the wait', async () => (await tx.execute(sql`select 1 from pg_locks where not granted`)).rows[0])
  })
  t.equal(await crossing, 401)
  const sessions = await system(sql`select 1 from sessions join users on users.id = user_id where email = ${email}`)
  t.equal(sessions.rows.length, 0)
})

t.test('a reset link is too old after 30 minutes, and no other token sets a password', async (t) => {
  const { email } = await makeAccount()
  const token = await askForReset(email)
  const { rows } = await system(
    sql`select extract(epoch from expires_at - created_at)::int as seconds from mailbox_proofs where email = ${email}`,
  )
  t.ok(Math.abs(Number(rows[0]?.seconds) - 1800) <= 2)
  await register({ email: newEmail() })
  const strange = newEmail()
  await register({ email: strange })
  const confirming = tokenIn(await mailbox.next(strange))
  await system(sql`update mailbox_proofs set expires_at = now() where email = ${email}`)
  for (const wrong of [token, confirming, 'x'.repeat(43)]) {
    t.equal((await ask('reset-password', { token: wrong, password: 'a new password of mine' })).statusCode, 422)
  }
  t.equal((await ask('verify-email', { token: await askForReset(email) })).statusCode, 422, 'nor the other way round')
})

t.test('asking for a new password tells nobody whether there is an account', async (t) => {
  const unknown = newEmail()
  const [none, some] = [
    await ask('forgot-password', { email: unknown }),
    await ask('forgot-password', { email: beta.email }),
  ]
  t.same([none.statusCode, none.body], [some.statusCode, some.body])
  t.match((await mailbox.next(beta.email, 1, RESET)).subject, RESET)
  t.same(mailbox.to(unknown), [])
})

t.test('a person who waits out wrong passwords sets a new one and goes on at once', async (t) => {
  const { email } = await makeAccount()
  const remoteAddress = newAddress()
  const attempt = (password: string) => post(app, '/v1/auth/login', { payload: { email, password }, remoteAddress })
  for (let i = 0; i < 5; i++) await attempt('wrong')
  t.equal((await attempt(PASSWORD)).statusCode, 429)
  const payload = { token: await askForReset(email), password: 'a new password of mine' }
  t.equal((await post(app, '/v1/auth/reset-password', { payload, remoteAddress })).statusCode, 204)
  t.equal((await attempt('a new password of mine')).statusCode, 200)
})

t.test('changing the password needs the current one and ends the other sessions', async (t) => {
  const account = await makeAccount()
  const [here, there] = [await signIn(app, account), await signIn(app, account)]
  const change = (currentPassword: string, newPassword: string) =>
    app.inject(
      authorized(here.accessToken, {
        method: 'POST',
        url: '/v1/me/password',
        payload: { currentPassword, newPassword },
        remoteAddress: newAddress(),
      }),
    )
  const refused = await change('not the password', 'a new password of mine')
  t.match(refused.json(), { status: 422, code: 'identity.wrong_password', errors: [{ path: '/currentPassword' }] })
  t.equal(await statusOfMe(app, there.accessToken), 200)
  t.equal((await change(PASSWORD, 'a new password of mine')).statusCode, 204)
  t.equal(await statusOfMe(app, here.accessToken), 200)
  t.equal((await refresh(app, here.refreshToken)).statusCode, 200)
  t.equal(await statusOfMe(app, there.accessToken), 401)
  t.equal((await refresh(app, there.refreshToken)).statusCode, 401)
  t.equal(await loginStatus(account.email, PASSWORD), 401)
})

t.test('a password has 12 to 128 characters of any kind, and every one of them counts', async (t) => {
  const refused = ['eleven char', 'x'.repeat(129)]
  for (const password of refused) {
    t.match((await register({ email: newEmail(), password })).json(), { status: 400, errors: [{ path: '/password' }] })
  }
  const long = 'x'.repeat(127)
  const account = await makeAccount(newEmail(), `${long}a`)
  t.equal(await loginStatus(account.email, `${long}b`), 401)
  t.equal(await loginStatus(account.email, `${long}a`), 200)
  const composed = await makeAccount(newEmail(), 'pässwörter mit ümlaut 🔑'.normalize('NFD'))
  t.equal(await loginStatus(composed.email, composed.password.normalize('NFC')), 200, 'however it is typed')
})

t.test('a password that was hashed with weaker settings is hashed anew when its owner signs in', async (t) => {
  const { email, password } = await makeAccount()
  const weak = await hash(password, { memoryCost: 1024, timeCost: 2, parallelism: 1 })
  const hashOf = () => app.postgres.withSystem((tx) => tx.select().from(users).where(eq(users.email, email)))
  await system(sql`update users set password_hash = ${weak} where email = ${email}`)
  t.equal(await loginStatus(email, 'not the password'), 401)
  t.equal((await hashOf())[0]?.passwordHash, weak)
  t.equal(await loginStatus(email, password), 200)
  const renewed = (await hashOf())[0]?.passwordHash
  t.match(renewed, /^\$argon2id\$v=19\$(?=[^$]*m=19456\b)(?=[^$]*t=2\b)(?=[^$]*p=1\b)/)
  t.equal(await loginStatus(email, password), 200)
  t.equal((await hashOf())[0]?.passwordHash, renewed, 'once')
})

t.test('a field that a route does not know is refused, and nothing is done', async (t) => {
  const email = newEmail()
  for (const [field, value] of Object.entries({
    role: 'owner',
    organizationId: alpha.organizationId,
    id: alpha.userId,
  })) {
    const answer = await register({ email, [field]: value })
    t.match(answer.json(), { status: 400, errors: [{ path: `/${field}` }] })
  }
  t.equal((await system(sql`select 1 from mailbox_proofs where email = ${email}`)).rows.length, 0)
  for (const name of ['', ' ', 'a\nb', 'x'.repeat(101)]) t.equal((await register({ email, name })).statusCode, 400)
})

t.test('nothing that is stored, queued or answered acts as a token', async (t) => {
  const { email, password } = await makeAccount()
  const signedIn = await signIn(app, { email, password })
  const link = await askForReset(email)
  const secrets = [link, signedIn.refreshToken, signedIn.accessToken, password]
  const tables = ['users', 'sessions', 'refresh_tokens', 'mailbox_proofs', 'outbox']
  for (const table of tables) {
    const { rows } = await system(sql`select * from ${sql.identifier(table)}`)
    t.ok(rows.length > 0)
    for (const secret of secrets) t.notMatch(JSON.stringify(rows), secret, table)
  }
  let held = ''
  for (const key of await app.redis.keys('*mails*')) {
    if ((await app.redis.type(key)) === 'hash') held += JSON.stringify(await app.redis.hgetall(key))
  }
  t.match(held, 'proofId', 'the jobs were found')
  for (const secret of secrets) t.notMatch(held, secret)
})

t.test('no secret of a person is logged, however much is', async (t) => {
  const lines: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  const config = loadConfig({ ...environment, METERHOUSE_LOG_LEVEL: 'trace' })
  const logged = await buildApp(config, { ...loggerOptions(config.log, false), stream })
  t.teardown(() => logged.close())
  await logged.ready()
  const account = await makeAccount()
  const link = await askForReset(account.email)
  const { accessToken, refreshToken } = await signIn(logged, account)
  const successor = refreshTokenOf(await refresh(logged, refreshToken))
  const payload = { token: link, password: 'a new password of mine' }
  await post(logged, '/v1/auth/reset-password', { payload: { ...payload, password: 'short-secret', extra: 1 } })
  for (let i = 0; i < 2; i++) await post(logged, '/v1/auth/reset-password', { payload })
  await post(logged, '/v1/auth/register', { payload: { ...account, name: 'Ada' } })
  t.equal(await statusOfMe(logged, accessToken), 401)
  t.equal((await refresh(logged, successor)).statusCode, 401)
  t.equal((await post(logged, '/v1/auth/login', { payload: account })).statusCode, 401)
  t.ok(lines.length >= 8, `${lines.length} lines`)
  const secrets = [account.password, link, accessToken, refreshToken, successor, payload.password, 'short-secret']
  for (const secret of secrets)
    t.notOk(
      lines.some((line) => line.includes(secret)),
      secret,
    )
})

t.test('the limit of an address is that of its network', async (t) => {
  const from = (remoteAddress: string) =>
    post(app, '/v1/auth/forgot-password', { payload: { email: newEmail() }, remoteAddress })
  for (let i = 0; i < 10; i++) t.equal((await from(`2001:db8:0:7::${i}`)).statusCode, 202)
  const refused = await from('2001:db8:0:7:ffff::1')
  t.match([refused.statusCode, refused.json().code], [429, 'request.rate_limited'])
  t.equal((await from('2001:db8:0:8::1')).statusCode, 202)
})

t.test('passwords are hashed a few at a time, in order, and a line that is too long is refused', async (t) => {
  const inTurn = createTurns(2, 3)
  const order: number[] = []
  let [running, most] = [0, 0]
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>())
  const works = gates.map((gate, index) =>
    inTurn(async () => {
      most = Math.max(most, ++running)
      order.push(index)
      await gate.promise
      running--
    }),
  )
  const refused = await inTurn(async () => 'done').catch((error: { status: number }) => error.status)
  t.equal(refused, 503)
  for (const gate of gates) gate.resolve()
  await Promise.all(works)
  t.same([most, order], [2, [0, 1, 2, 3, 4]])
  t.equal(await inTurn(async () => 'free'), 'free')
})

t.test('the cookie of a stranger means nothing to another person', async (t) => {
  const { refreshToken } = await signIn(app, alpha)
  const other = await signIn(app, beta)
  const request = { url: '/v1/me', cookies: { [COOKIE]: refreshToken } }
  t.equal((await app.inject(authorized(other.accessToken, request))).json().id, beta.userId)
  t.equal((await app.inject(request)).statusCode, 401, 'nor does it act by itself')
})
