import { Writable } from 'node:stream'
import { sql } from 'drizzle-orm'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { createAuditService } from '../../src/domains/audit/index.ts'
import { prune } from '../../src/domains/identity/housekeeping/service.ts'
import * as store from '../../src/domains/identity/second-factor/store.ts'
import { newId } from '../../src/ids.ts'
import { newAddress, post, refreshTokenOf, signIn, statusOfMe } from '../helpers/accounts.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { startTestMailbox, tokenIn } from '../helpers/mailbox.ts'
import { sessionOf } from '../helpers/principals.ts'
import { addSecondFactor, challengeOf, codeOf, enroll, forgetSteps, wrongCodeOf } from '../helpers/second-factor.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const OLD_SECRET = 'the secret of before is long enough to sign'
const mailbox = await startTestMailbox(t)
const { app, environment } = await startTestApp(t, {
  METERHOUSE_SMTP_URL: mailbox.url,
  METERHOUSE_JWT_SECRET: OLD_SECRET,
})
const audit = createAuditService(app)

/** The same application with other secrets or another log. */
async function another(overrides: Record<string, string>, logger: Parameters<typeof buildApp>[1] = false) {
  const next = await buildApp(loadConfig({ ...environment, ...overrides }), logger)
  t.teardown(() => next.close())
  await next.ready()
  return next
}

const answer = (payload: object, remoteAddress: string, to: FastifyInstance = app) =>
  post(to, '/v1/auth/second-factor', { payload, remoteAddress })
const act = (person: TestTenant, method: 'POST' | 'DELETE', url: string, payload: object) =>
  app.inject(authorized(sessionOf(app, person.userId), { method, url, payload, remoteAddress: newAddress() }))
const actionsOf = async ({ organizationId }: TestTenant) =>
  (await audit.list({ organizationId }, { limit: 50 })).data.map(({ action }) => action)
const endPause = async () => {
  for (const key of await app.redis.keys('login:*')) await app.redis.del(key)
}

t.test('whoever has a second factor gets a challenge and no session, and others sign in as before', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const ip = newAddress()
  const { secret, recoveryCodes } = await addSecondFactor(app, alpha)
  t.equal(new Set(recoveryCodes).size, 10)
  const { email, password } = alpha
  const asked = await post(app, '/v1/auth/login', { payload: { email, password }, remoteAddress: ip })
  t.same(Object.keys(asked.json()).sort(), ['challenge', 'expiresAt', 'secondFactor'])
  t.equal(refreshTokenOf(asked), '')
  const granted = await answer({ challenge: asked.json().challenge, code: codeOf(secret) }, ip)
  t.equal(await statusOfMe(app, granted.json().accessToken), 200)
  t.match(refreshTokenOf(granted), /^[\w-]{43}$/)
  t.ok((await signIn(app, beta)).accessToken)
  t.match(await actionsOf(beta), ['session.started'])
})

t.test('a second factor that no code has confirmed asks for none, and is deleted after a day', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  await enroll(app, alpha)
  const confirmed = await addSecondFactor(app, beta)
  t.ok((await signIn(app, alpha)).accessToken)
  await app.postgres.withSystem((tx) =>
    tx.execute(sql`update second_factors set created_at = now() - interval '25 hours'
      where user_id in (${alpha.userId}, ${beta.userId})`),
  )
  await prune(app.postgres)
  const find = (userId: string) => app.postgres.withSystem((tx) => store.findSecondFactor(tx, userId))
  t.equal(await find(alpha.userId), undefined)
  t.ok((await find(beta.userId))?.confirmedAt, 'one that counts stays')
  t.ok(confirmed.secret)
})

t.test('a code acts once: neither it nor one before it is accepted again', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const ip = newAddress()
  const { secret } = await addSecondFactor(app, alpha)
  await addSecondFactor(app, beta)
  const code = codeOf(secret)
  t.equal((await answer({ challenge: await challengeOf(app, alpha, ip), code }, ip)).statusCode, 200)
  for (const used of [code, codeOf(secret, -1)]) {
    const refused = await answer({ challenge: await challengeOf(app, alpha, ip), code: used }, ip)
    t.match(refused.json(), { status: 422, code: 'identity.wrong_code', errors: [{ path: '/code' }] })
    t.equal(refreshTokenOf(refused), '')
  }
  const foreign = await answer({ challenge: await challengeOf(app, beta, ip), code: codeOf(secret, 1) }, ip)
  t.equal(foreign.json().code, 'identity.wrong_code', "and nobody else's code either")
})

t.test('of fifty who send one code at once, one gets in', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const { secret } = await addSecondFactor(app, alpha)
  await addSecondFactor(app, beta)
  const asked = await Promise.all(
    Array.from({ length: 50 }, async () => {
      const ip = newAddress()
      return { ip, challenge: await challengeOf(app, alpha, ip) }
    }),
  )
  const code = codeOf(secret)
  const answers = await Promise.all(asked.map(({ ip, challenge }) => answer({ challenge, code }, ip)))
  t.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 1)
  await forgetSteps(app, alpha)
  const factor = await app.postgres.withSystem((tx) => store.findSecondFactor(tx, alpha.userId))
  const before = factor?.sealedSecret ?? ''
  const taken = await Promise.all(
    Array.from({ length: 50 }, () =>
      app.postgres.withSystem((tx) => store.takeStep(tx, alpha.userId, 7, { before, sealedSecret: before })),
    ),
  )
  t.equal(taken.filter(Boolean).length, 1, 'without the pause that holds most of them back, too')
})

t.test('a recovery code acts once, also of fifty who send it at once', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const { recoveryCodes } = await addSecondFactor(app, alpha)
  const [recoveryCode = '', other = ''] = recoveryCodes
  await addSecondFactor(app, beta)
  const asked = await Promise.all(
    Array.from({ length: 50 }, async () => {
      const ip = newAddress()
      return { ip, challenge: await challengeOf(app, alpha, ip) }
    }),
  )
  const answers = await Promise.all(asked.map(({ ip, challenge }) => answer({ challenge, recoveryCode }, ip)))
  t.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 1)
  await endPause()
  const ip = newAddress()
  const again = await answer({ challenge: await challengeOf(app, alpha, ip), recoveryCode }, ip)
  t.match(again.json(), { status: 422, code: 'identity.wrong_code', errors: [{ path: '/recoveryCode' }] })
  const foreign = await answer({ challenge: await challengeOf(app, beta, ip), recoveryCode: other }, ip)
  t.equal(foreign.statusCode, 422, "and nobody else's")
  const shouted = { challenge: await challengeOf(app, alpha, ip), recoveryCode: other.toUpperCase() }
  t.equal((await answer(shouted, ip)).statusCode, 200, 'however it is written')
  t.equal((await actionsOf(alpha)).filter((action) => action === 'account.recovery_code_used').length, 2)
  t.notOk((await actionsOf(beta)).includes('account.recovery_code_used'))
  t.ok(await mailbox.next(alpha.email, 2, /recovery code was used/))
  const hashes = await app.postgres.withSystem((tx) =>
    tx.execute(sql`select hash from recovery_codes where user_id = ${alpha.userId}`),
  )
  const taken = await Promise.all(
    Array.from({ length: 50 }, () =>
      app.postgres.withSystem((tx) => store.takeRecoveryCode(tx, alpha.userId, [String(hashes.rows[0]?.hash)])),
    ),
  )
  t.equal(taken.filter(Boolean).length, 1, 'without the pause that holds most of them back, too')
})

t.test('five wrong codes end a challenge: the sixth guess is not even looked at', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const ip = newAddress()
  const { secret } = await addSecondFactor(app, alpha)
  const challenge = await challengeOf(app, alpha, ip)
  for (let guess = 0; guess < 5; guess++) {
    await endPause()
    t.equal((await answer({ challenge, code: wrongCodeOf(secret) }, ip)).statusCode, 422)
  }
  await endPause()
  const sixth = await answer({ challenge, code: codeOf(secret) }, ip)
  t.match(sixth.json(), { status: 401, code: 'identity.challenge_over' })
  t.ok((await signIn(app, beta)).accessToken)
})

t.test('wrong codes count for the account, across challenges and networks, and hold up nobody else', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const { secret } = await addSecondFactor(app, alpha)
  const betas = await addSecondFactor(app, beta)
  for (let guess = 0; guess < 5; guess++) {
    const ip = newAddress()
    const wrong = { challenge: await challengeOf(app, alpha, ip), code: wrongCodeOf(secret) }
    t.equal((await answer(wrong, ip)).statusCode, 422)
  }
  const ip = newAddress()
  const held = await answer({ challenge: await challengeOf(app, alpha, ip), code: codeOf(secret) }, ip)
  t.match(held.json(), { status: 429, code: 'identity.too_many_attempts' })
  t.match(held.headers['retry-after'], /^\d+$/)
  const good = { challenge: await challengeOf(app, beta, ip), code: codeOf(betas.secret) }
  t.equal((await answer(good, ip)).statusCode, 200)
})

t.test('a challenge belongs to the device that began, and ends with it', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const ip = newAddress()
  const { secret } = await addSecondFactor(app, alpha)
  const challenge = await challengeOf(app, alpha, ip)
  const code = codeOf(secret)
  t.equal((await answer({ challenge, code }, '203.0.113.200')).statusCode, 401)
  t.equal((await answer({ challenge, code }, ip)).statusCode, 200)
  t.equal((await answer({ challenge, code: codeOf(secret, 1) }, ip)).statusCode, 401)
  t.ok((await signIn(app, beta)).accessToken)
})

t.test('a new password neither leads around the second factor nor leaves a challenge of before', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const ip = newAddress()
  const { secret } = await addSecondFactor(app, alpha)
  const before = await challengeOf(app, alpha, ip)
  await post(app, '/v1/auth/forgot-password', { payload: { email: alpha.email } })
  const token = tokenIn(await mailbox.next(alpha.email, 1, /Set a new password/))
  const password = 'correct horse battery staple'
  t.equal((await post(app, '/v1/auth/reset-password', { payload: { token, password } })).statusCode, 204)
  const spoilt = await answer({ challenge: before, code: codeOf(secret) }, ip)
  t.match(spoilt.json(), { status: 401, code: 'identity.challenge_over' })
  const challenge = await challengeOf(app, { ...alpha, password }, ip)
  t.match(challenge, /^[\w-]{43}$/)
  t.equal((await answer({ challenge, code: codeOf(secret) }, ip)).statusCode, 200)
  t.ok((await signIn(app, beta)).accessToken)
})

t.test('the second factor comes and goes with password and code, and the owner is told each time', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const { secret, recoveryCodes } = await addSecondFactor(app, alpha)
  const { password } = alpha
  const url = '/v1/me/second-factor'
  t.equal((await act(alpha, 'POST', url, { password })).statusCode, 409)
  t.equal((await act(alpha, 'DELETE', url, { password: 'not the one', code: codeOf(secret) })).statusCode, 422)
  t.equal((await act(alpha, 'DELETE', url, { password, code: wrongCodeOf(secret) })).statusCode, 422)
  t.equal((await act(beta, 'DELETE', url, { password: beta.password, code: codeOf(secret) })).statusCode, 409)
  const renewed = await act(alpha, 'POST', `${url}/recovery-codes`, { password, code: codeOf(secret) })
  t.equal(renewed.json().recoveryCodes.length, 10)
  const ip = newAddress()
  const old = { challenge: await challengeOf(app, alpha, ip), recoveryCode: recoveryCodes[0] }
  t.equal((await answer(old, ip)).statusCode, 422, 'the codes of before stop counting')
  t.equal((await act(alpha, 'DELETE', url, { password, code: codeOf(secret, 1) })).statusCode, 204)
  t.ok((await signIn(app, alpha)).accessToken)
  for (const subject of [/has a second factor/, /new recovery codes/, /factor was removed/])
    t.ok(await mailbox.next(alpha.email, 1, subject))
  t.same((await actionsOf(alpha)).filter((action) => action.startsWith('account.')).reverse(), [
    'account.second_factor_enrolled',
    'account.recovery_codes_renewed',
    'account.second_factor_removed',
  ])
  t.same(await actionsOf(beta), [])
  t.match(await audit.verify(alpha.organizationId), { broken: null })
})

t.test(
  'neither the secret nor a recovery code can be read in the database, and a row opens for nobody else',
  async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    const { secret, recoveryCodes } = await addSecondFactor(app, alpha)
    await addSecondFactor(app, beta)
    const { rows } = await app.postgres.withSystem((tx) =>
      tx.execute(sql`select (select json_agg(f) from second_factors f)::text
      || (select json_agg(c) from recovery_codes c)::text || (select json_agg(o) from outbox o)::text as text`),
    )
    const stored = String(rows[0]?.text)
    const bytes = [...secret].length
    t.ok(bytes > 0 && stored.includes(alpha.userId))
    for (const hidden of [secret, ...recoveryCodes, ...recoveryCodes.map((code) => code.replaceAll('-', ''))])
      t.notOk(stored.includes(hidden))
    await app.postgres.withSystem((tx) =>
      tx.execute(sql`update second_factors set sealed_secret =
      (select sealed_secret from second_factors where user_id = ${alpha.userId}) where user_id = ${beta.userId}`),
    )
    const ip = newAddress()
    const moved = await answer({ challenge: await challengeOf(app, beta, ip), code: codeOf(secret) }, ip)
    t.equal(moved.statusCode, 500)
  },
)

t.test('codes, secrets and challenges are in no log', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const lines: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  const logged = await another({}, { level: 'trace', stream })
  const ip = newAddress()
  const { secret, recoveryCodes } = await addSecondFactor(logged, alpha)
  const [code, wrong] = [codeOf(secret), wrongCodeOf(secret)]
  const challenge = await challengeOf(logged, alpha, ip)
  t.equal((await answer({ challenge, code: wrong }, ip, logged)).statusCode, 422)
  t.equal((await answer({ challenge, code }, ip, logged)).statusCode, 200)
  const next = await challengeOf(logged, alpha, ip)
  t.equal((await answer({ challenge: next, recoveryCode: recoveryCodes[0] }, ip, logged)).statusCode, 200)
  t.ok((await signIn(logged, beta)).accessToken)
  const text = lines.join('')
  t.match(text, '/v1/auth/second-factor')
  for (const hidden of [secret, ...recoveryCodes, challenge, next, `"${code}"`, `"${wrong}"`])
    t.notOk(text.includes(hidden))
})

t.test('after a new secret of the server old second factors go on while the one before is listed', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const { secret, recoveryCodes } = await addSecondFactor(app, alpha)
  const METERHOUSE_JWT_SECRET = 'the secret of today is long enough to sign'
  const listed = await another({ METERHOUSE_JWT_SECRET, METERHOUSE_JWT_PREVIOUS_SECRETS: OLD_SECRET })
  const unlisted = await another({ METERHOUSE_JWT_SECRET })
  const ip = newAddress()
  const enter = async (to: FastifyInstance, proof: object) =>
    (await answer({ challenge: await challengeOf(to, alpha, ip), ...proof }, ip, to)).statusCode
  t.equal(await enter(unlisted, { code: codeOf(secret) }), 500)
  t.equal(await enter(listed, { recoveryCode: recoveryCodes[0] }), 200)
  t.equal(await enter(listed, { code: codeOf(secret) }), 200)
  t.equal(await enter(unlisted, { code: codeOf(secret, 1) }), 200, 'a sign-in has sealed it anew')
  t.ok((await signIn(listed, beta)).accessToken)
})

t.test('nothing but a challenge of this server is one', async (t) => {
  const unknown = await answer({ challenge: newId('usr').padEnd(43, 'x').slice(0, 43), code: '123456' }, newAddress())
  t.match(unknown.json(), { status: 401, code: 'identity.challenge_over' })
})
