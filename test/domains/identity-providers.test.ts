import { sql } from 'drizzle-orm'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { newId } from '../../src/ids.ts'
import { newAddress, post, refresh, refreshTokenOf, signIn } from '../helpers/accounts.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import {
  CLIENT,
  type ProviderAccount,
  PUBLIC_URL,
  startSignInProvider,
  visitProvider,
} from '../helpers/sign-in-provider.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const FLOW = 'meterhouse_sign_in'
const provider = await startSignInProvider(t, ['corp', 'other'])
const entry = (id: string, name: string) => ({ id, name, issuer: provider.issuer, ...CLIENT })
const ENVIRONMENT = {
  METERHOUSE_PUBLIC_URL: PUBLIC_URL,
  METERHOUSE_OIDC_PROVIDERS: JSON.stringify([entry('corp', 'Corp'), entry('other', 'Other')]),
}
const { app } = await startTestApp(t, ENVIRONMENT)
const [alpha, beta] = await createTwoTenants(app)

const system = (statement: ReturnType<typeof sql>) => app.postgres.withSystem((tx) => tx.execute(statement))

/** Somebody with an account at the provider. */
function newPerson(account: ProviderAccount = {}): { subject: string; email: string } {
  const subject = newId('evt')
  const person = { email: `${subject}@example.com`, email_verified: true, name: 'Grace', ...account }
  provider.accounts.set(subject, person)
  return { subject, email: person.email }
}

const get = (to: FastifyInstance, url: string, cookies: Record<string, string> = {}) =>
  to.inject({ url, cookies, remoteAddress: newAddress() })

async function begin(id = 'corp', query = '') {
  const answer = await get(app, `/v1/auth/providers/${id}/start${query}`)
  if (answer.statusCode !== 302) throw new Error(answer.body)
  const flow = answer.cookies.find(({ name }) => name === FLOW)?.value ?? ''
  return { answer, location: String(answer.headers.location), cookies: { [FLOW]: flow } }
}

const comeBack = (url: URL, cookies: Record<string, string>) => get(app, `${url.pathname}${url.search}`, cookies)

async function signInAs(subject: string, id = 'corp', query = '') {
  const { location, cookies } = await begin(id, query)
  return comeBack(await visitProvider(location, subject), cookies)
}

type Answer = Awaited<ReturnType<typeof signInAs>>
const accessTokenOf = async (answer: Answer) => (await refresh(app, refreshTokenOf(answer))).json().accessToken
const meOf = async (answer: Answer) =>
  (await app.inject(authorized(await accessTokenOf(answer), { url: '/v1/me' }))).json()
const identitiesOf = async (answer: Answer) =>
  (await app.inject(authorized(await accessTokenOf(answer), { url: '/v1/me/identities' }))).json().data
const usersOf = async (email: string) =>
  (await system(sql`select id from users where lower(email) = lower(${email})`)).rows

function refused(t: Tap, answer: Answer, status: number, code: string): void {
  t.match(answer.json(), { status, code }, answer.body)
  t.equal(refreshTokenOf(answer), '', 'nobody is signed in')
}
type Tap = Pick<typeof t, 'match' | 'equal'>

t.test('people see which providers there are, and none of their secrets', async (t) => {
  const answer = await get(app, '/v1/auth/providers')
  t.same(answer.json(), {
    data: [
      { id: 'corp', name: 'Corp' },
      { id: 'other', name: 'Other' },
    ],
  })
})

t.test('a person signs in at the provider and gets an account, and the same one the next time', async (t) => {
  const { subject, email } = newPerson()
  const { answer: start, location, cookies } = await begin('corp', '?returnTo=/docs/?tab=1')
  t.match(start.cookies, [{ name: FLOW, path: '/', httpOnly: true, sameSite: 'Lax', maxAge: 600, domain: undefined }])
  const asked = new URL(location).searchParams
  t.match(Object.fromEntries(asked), {
    code_challenge_method: 'S256',
    response_type: 'code',
    scope: 'openid email profile',
  })
  for (const name of ['state', 'nonce', 'code_challenge']) t.match(asked.get(name), /^[\w-]{43}$/, name)
  const answer = await comeBack(await visitProvider(location, subject), cookies)
  t.equal(answer.statusCode, 302, answer.body)
  t.equal(answer.headers.location, `${PUBLIC_URL}/docs/?tab=1`)
  t.notMatch(String(answer.headers.location), refreshTokenOf(answer))
  t.match(answer.headers['cache-control'], 'no-store')
  const me = await meOf(answer)
  t.match(me, { email, name: 'Grace', memberships: [] })
  t.match(await identitiesOf(answer), [{ provider: { id: 'corp', name: 'Corp' }, email }])
  provider.accounts.set(subject, { email: `new-${email}`, email_verified: true })
  const again = await signInAs(subject)
  t.equal(again.headers.location, `${PUBLIC_URL}/account/signed-in`)
  t.equal((await meOf(again)).id, me.id, 'whatever the address is by then')
})

t.test('in production the cookie of a flow is bound to the host and to encryption', async (t) => {
  const secret = 'a secret of its own, long enough to sign with'
  const production = { ...ENVIRONMENT, METERHOUSE_MODE: 'production', METERHOUSE_JWT_SECRET: secret }
  const { app } = await startTestApp(t, production)
  const answer = await get(app, '/v1/auth/providers/corp/start')
  t.match(
    answer.headers['set-cookie'],
    /^__Host-meterhouse_sign_in=[\w-]{43}; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
  )
})

t.test('what is stored of a flow finishes it nowhere, and goes after ten minutes', async (t) => {
  const { location, cookies } = await begin()
  const keys = await app.redis.keys('sign-in-flow:*')
  const stored = (await Promise.all(keys.map(async (key) => `${key} ${await app.redis.get(key)}`))).join('\n')
  const { state, nonce, code_challenge } = Object.fromEntries(new URL(location).searchParams)
  for (const secret of [cookies[FLOW], state, nonce, code_challenge]) t.notMatch(stored, secret ?? '')
  for (const key of keys) {
    const ttlMs = await app.redis.pttl(key)
    t.ok(ttlMs > 0 && ttlMs <= 600_000)
  }
})

t.test('an answer is heard once: replayed it signs nobody in, nor when it comes twice at the same time', async (t) => {
  const { subject } = newPerson()
  const { location, cookies } = await begin()
  const url = await visitProvider(location, subject)
  const answers = await Promise.all([comeBack(url, cookies), comeBack(url, cookies)])
  t.same(answers.map(({ statusCode }) => statusCode).sort(), [302, 422])
  refused(t, await comeBack(url, cookies), 422, 'auth.flow_not_valid')
})

t.test(
  "an answer counts in the browser and at the provider that it was asked for, with the flow's own state",
  async (t) => {
    const { subject } = newPerson()
    const [mine, other] = [await begin(), await begin()]
    const url = await visitProvider(mine.location, subject)
    refused(t, await comeBack(url, {}), 422, 'auth.flow_not_valid')
    refused(t, await comeBack(url, other.cookies), 422, 'auth.flow_not_valid')
    for (const state of ['x', 'x'.repeat(43), new URL(other.location).searchParams.get('state') ?? '']) {
      const forged = new URL(url)
      forged.searchParams.set('state', state)
      refused(t, await comeBack(forged, mine.cookies), 422, 'auth.flow_not_valid')
    }
    t.equal((await comeBack(url, mine.cookies)).statusCode, 302, 'none of which used it up')
    const there = await begin()
    const elsewhere = await visitProvider(there.location, subject)
    elsewhere.pathname = '/v1/auth/providers/other/callback'
    refused(t, await comeBack(elsewhere, there.cookies), 422, 'auth.flow_not_valid')
  },
)

t.test('an answer to another nonce is refused', async (t) => {
  const { subject } = newPerson()
  const { location, cookies } = await begin()
  const swapped = new URL(location)
  swapped.searchParams.set('nonce', 'another-one')
  const answer = await comeBack(await visitProvider(swapped.href, subject), cookies)
  refused(t, answer, 502, 'auth.provider_failed')
})

t.test('a code that was intercepted is worth nothing in a flow of its own', async (t) => {
  const { subject } = newPerson()
  const [mine, theirs] = [await begin(), await begin()]
  const stolen = await visitProvider(mine.location, subject)
  stolen.searchParams.set('state', new URL(theirs.location).searchParams.get('state') ?? '')
  refused(t, await comeBack(stolen, theirs.cookies), 502, 'auth.provider_failed')
})

t.test(
  'an id token counts only as the provider signed it, for this client, from this issuer and in its time',
  async (t) => {
    const nowSeconds = Math.floor(Date.now() / 1000)
    const forgeries: [string, Partial<typeof provider.forging>][] = [
      ['spoilt', { spoil: true }],
      ['another audience', { change: (claims) => ({ ...claims, aud: 'somebody-else' }) }],
      ['another issuer', { change: (claims) => ({ ...claims, iss: 'https://accounts.example.com' }) }],
      ['too old', { change: (claims) => ({ ...claims, exp: nowSeconds - 60, iat: nowSeconds - 120 }) }],
      ['without a nonce', { change: ({ nonce: _, ...claims }) => claims }],
    ]
    for (const [what, forgery] of forgeries) {
      const { subject, email } = newPerson()
      Object.assign(provider.forging, { change: undefined, spoil: undefined }, forgery)
      t.comment(what)
      refused(t, await signInAs(subject), 502, 'auth.provider_failed')
      t.same(await usersOf(email), [], what)
    }
    Object.assign(provider.forging, { spoil: undefined, change: (claims: Record<string, unknown>) => claims })
    t.equal((await signInAs(newPerson().subject)).statusCode, 302, 'one that is signed anew and says the same is taken')
    Object.assign(provider.forging, { change: undefined })
  },
)

t.test('a flow is over after its time', async (t) => {
  const { subject } = newPerson()
  const { location, cookies } = await begin()
  const url = await visitProvider(location, subject)
  for (const key of await app.redis.keys('sign-in-flow:*')) await app.redis.pexpire(key, 0)
  refused(t, await comeBack(url, cookies), 422, 'auth.flow_not_valid')
})

t.test('without a confirmed address there is no account, and none is linked', async (t) => {
  for (const account of [
    { email: alpha.email, email_verified: false },
    { email: alpha.email, email_verified: undefined },
    { email: alpha.email, email_verified: 'true' as unknown as boolean },
    { email: undefined },
    { email: 'no address' },
  ]) {
    const { subject } = newPerson(account)
    refused(t, await signInAs(subject), 403, 'auth.provider_refused')
  }
  const { rows } = await system(sql`select 1 from user_identities where user_id = ${alpha.userId}`)
  t.same(rows, [])
})

t.test('a person who declines at the provider is told so', async (t) => {
  refused(t, await signInAs('declines'), 403, 'auth.provider_refused')
})

t.test('a sign-in ends on this server and nowhere else', async (t) => {
  for (const returnTo of [
    'https://evil.example/',
    '//evil.example',
    '/\\evil.example',
    'evil',
    '/a b',
    '/%0a\n',
    'javascript:1',
  ]) {
    const answer = await get(app, `/v1/auth/providers/corp/start?returnTo=${encodeURIComponent(returnTo)}`)
    t.match(answer.json(), { status: 400, errors: [{ path: '/querystring/returnTo' }] }, returnTo)
  }
  for (const returnTo of ['/..//evil.example', '/.//evil.example', '/@evil.example', '/%2F/evil.example']) {
    const answer = await signInAs(newPerson().subject, 'corp', `?returnTo=${encodeURIComponent(returnTo)}`)
    t.equal(new URL(String(answer.headers.location)).origin, PUBLIC_URL, returnTo)
  }
})

t.test('two who come at once as one new person end in one account', async (t) => {
  const { subject, email } = newPerson()
  const flows = await Promise.all([begin(), begin(), begin('other')])
  const urls = await Promise.all(flows.map(({ location }) => visitProvider(location, subject)))
  const answers = await Promise.all(urls.map((url, index) => comeBack(url, flows[index]?.cookies ?? {})))
  t.same(
    answers.map(({ statusCode }) => statusCode),
    [302, 302, 302],
  )
  t.equal((await usersOf(email)).length, 1)
  const { rows } = await system(sql`select provider_id from user_identities where email = ${email} order by 1`)
  t.same(rows, [{ provider_id: 'corp' }, { provider_id: 'other' }])
})

t.test(
  'a confirmed address is linked to the account that has it, its organizations are told, and nobody else is',
  async (t) => {
    const { subject } = newPerson({ email: alpha.email.toUpperCase() })
    const answer = await signInAs(subject)
    t.equal((await meOf(answer)).id, alpha.userId)
    const linked = sql`select organization_id, after from audit_entries where action = 'identity.linked'`
    const told = (await system(linked)).rows.filter(({ organization_id }) =>
      [alpha.organizationId, beta.organizationId].includes(String(organization_id)),
    )
    t.same(told, [{ organization_id: alpha.organizationId, after: { providerId: 'corp' } }])
    await signIn(app, alpha)
  },
)

t.test('whoever gets the address of somebody who is linked already does not get their account', async (t) => {
  const { subject, email } = newPerson()
  const before = await meOf(await signInAs(subject))
  const successor = newPerson({ email })
  refused(t, await signInAs(successor.subject), 403, 'auth.provider_refused')
  t.equal((await meOf(await signInAs(subject))).id, before.id)
})

t.test(
  'an account without a password has none to guess, and is told so when its last identity is removed',
  async (t) => {
    const { subject, email } = newPerson()
    const answer = await signInAs(subject)
    const accessToken = await accessTokenOf(answer)
    const ask = (request: object) => app.inject(authorized(accessToken, { remoteAddress: newAddress(), ...request }))
    for (const password of ['none', 'x']) {
      t.equal((await post(app, '/v1/auth/login', { payload: { email, password } })).statusCode, 401)
    }
    const change = { currentPassword: 'none', newPassword: 'long enough for anybody' }
    t.match((await ask({ method: 'POST', url: '/v1/me/password', payload: change })).json(), {
      code: 'identity.wrong_password',
    })
    const [identity] = (await ask({ url: '/v1/me/identities' })).json().data
    const remove = () => ask({ method: 'DELETE', url: `/v1/me/identities/${identity.id}` })
    t.match((await remove()).json(), { status: 409, code: 'identity.last_way_in' })
    const foreign = { method: 'DELETE', url: `/v1/me/identities/${identity.id}` } as const
    t.equal((await app.inject(authorized((await signIn(app, beta)).accessToken, foreign))).statusCode, 404)
    await signInAs(subject, 'other')
    t.equal((await remove()).statusCode, 204, 'with another way in it goes')
    t.equal((await remove()).statusCode, 404)
    const [rest] = (await ask({ url: '/v1/me/identities' })).json().data
    t.match(rest, { provider: { id: 'other' } })
  },
)

t.test(
  'whoever has a password may remove the last identity, and of two removals at once one leaves a way in',
  async (t) => {
    const { subject } = newPerson({ email: beta.email })
    const mine = await signInAs(subject)
    const [{ id }] = await identitiesOf(mine)
    const { accessToken } = await signIn(app, beta)
    t.equal(
      (await app.inject(authorized(accessToken, { method: 'DELETE', url: `/v1/me/identities/${id}` }))).statusCode,
      204,
    )
    const twice = newPerson().subject
    await signInAs(twice)
    const other = await signInAs(twice, 'other')
    const token = await accessTokenOf(other)
    const identities: { id: string }[] = await identitiesOf(await signInAs(twice))
    const answers = await Promise.all(
      identities.map(({ id }) => app.inject(authorized(token, { method: 'DELETE', url: `/v1/me/identities/${id}` }))),
    )
    t.same(answers.map(({ statusCode }) => statusCode).sort(), [204, 409])
  },
)

t.test('a provider that nobody knows is absent, and one that is away is said to be', async (t) => {
  t.equal((await get(app, '/v1/auth/providers/nobody/start')).statusCode, 404)
  const away = { id: 'away', name: 'Away', issuer: 'http://127.0.0.1:1', ...CLIENT }
  const { app: second } = await startTestApp(t, { ...ENVIRONMENT, METERHOUSE_OIDC_PROVIDERS: JSON.stringify([away]) })
  const answer = await get(second, '/v1/auth/providers/away/start')
  t.match(answer.json(), { status: 502, code: 'auth.provider_failed' })
})
