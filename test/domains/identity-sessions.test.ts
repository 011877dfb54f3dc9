import { sql } from 'drizzle-orm'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { hashToken } from '../../src/domains/identity/refresh-token.ts'
import { COOKIE, newAddress, post, refresh, refreshTokenOf, signIn, statusOfMe } from '../helpers/accounts.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { listen, openLive } from '../helpers/live.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const LIMIT_MS = 5000
const { app, environment } = await startTestApp(t)
const [alpha, beta] = await createTwoTenants(app)

const system = (statement: ReturnType<typeof sql>) => app.postgres.withSystem((tx) => tx.execute(statement))
const sessionIdOf = (accessToken: string) => app.jwt.decode<{ sid: string }>(accessToken)?.sid ?? ''
const list = async (accessToken: string, query = '') =>
  (await app.inject(authorized(accessToken, { url: `/v1/me/sessions${query}` }))).json()

/** As if the token had been spent that long ago. */
const spentAgo = (token: string, seconds: number) =>
  system(
    sql`update refresh_tokens set spent_at = now() - make_interval(secs => ${seconds}) where hash = ${hashToken(token)}`,
  )

t.test(
  'a sign-in gives a token for the header, and a cookie that neither scripts nor other sites get at',
  async (t) => {
    const answer = await post(app, '/v1/auth/login', { payload: { email: alpha.email, password: alpha.password } })
    t.match(answer.headers['cache-control'], 'no-store')
    const [cookie] = answer.cookies
    t.match(cookie, {
      name: COOKIE,
      path: '/',
      httpOnly: true,
      sameSite: 'Strict',
      secure: undefined,
      domain: undefined,
    })
    t.match(cookie?.value, /^[\w-]{43}$/)
    t.notMatch(answer.body, cookie?.value ?? '', 'the body does not hold it')
    const { rows } = await system(sql`select 1 from refresh_tokens where hash = ${cookie?.value}`)
    t.equal(rows.length, 0, 'the database has its hash only')
  },
)

t.test('in production the cookies are bound to the host and to encryption', async (t) => {
  const secret = 'a secret of its own, long enough to sign with'
  const { app } = await startTestApp(t, { METERHOUSE_MODE: 'production', METERHOUSE_JWT_SECRET: secret })
  const [{ email, password }] = await createTwoTenants(app)
  const answer = await post(app, '/v1/auth/login', { payload: { email, password } })
  t.match(answer.headers['set-cookie'], [
    /^__Host-meterhouse_refresh=[\w-]{43}; Path=\/; .*HttpOnly; Secure; SameSite=Strict$/,
    /^__Host-meterhouse_csrf=[\w-]{43}; Path=\/; .*; Secure; SameSite=Strict$/,
  ])
})

t.test('a refresh gives a new access token and a new cookie of the same session', async (t) => {
  const signedIn = await signIn(app, alpha)
  const answer = await refresh(app, signedIn.refreshToken)
  t.equal(answer.statusCode, 200, answer.body)
  const { accessToken } = answer.json()
  t.equal(sessionIdOf(accessToken), sessionIdOf(signedIn.accessToken))
  t.equal(await statusOfMe(app, accessToken), 200)
  t.not(refreshTokenOf(answer), signedIn.refreshToken)
  t.equal((await refresh(app, refreshTokenOf(answer))).statusCode, 200, 'and its successor goes on')
})

t.test('a thousand refreshes of one token at once give one successor and sign nobody out', async (t) => {
  const { refreshToken, accessToken } = await signIn(app, alpha)
  const other = await signIn(app, beta)
  const answers = await Promise.all(Array.from({ length: 1000 }, () => refresh(app, refreshToken)))
  t.same(new Set(answers.map(({ statusCode }) => statusCode)), new Set([200]))
  const successors = new Set(answers.map(refreshTokenOf))
  t.equal(successors.size, 1)
  const id = sessionIdOf(accessToken)
  const { rows } = await system(sql`select hash from refresh_tokens where session_id = ${id}`)
  t.equal(rows.length, 2, 'the first token and its one successor')
  t.equal((await refresh(app, [...successors][0] ?? '')).statusCode, 200, 'which is good')
  t.equal((await refresh(app, other.refreshToken)).statusCode, 200)
})

t.test('two processes that refresh one token at once give the same successor', async (t) => {
  const { app: second } = await startSecond(t)
  const { refreshToken } = await signIn(app, alpha)
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) => refresh(index % 2 ? app : second, refreshToken)),
  )
  t.same(new Set(answers.map(({ statusCode }) => statusCode)), new Set([200]))
  t.equal(new Set(answers.map(refreshTokenOf)).size, 1)
})

t.test(
  'a token that comes back after the grace ends the whole session, on both sides, and leaves a fact',
  async (t) => {
    const stolen = await signIn(app, alpha)
    const other = await signIn(app, alpha)
    const successor = refreshTokenOf(await refresh(app, stolen.refreshToken))
    await spentAgo(stolen.refreshToken, 9)
    t.equal((await refresh(app, stolen.refreshToken)).statusCode, 200, 'within the grace')
    await spentAgo(stolen.refreshToken, 11)
    t.equal((await refresh(app, stolen.refreshToken)).statusCode, 401)
    t.equal((await refresh(app, successor)).statusCode, 401, 'whoever holds the successor has to sign in too')
    t.equal(await statusOfMe(app, stolen.accessToken), 401)
    const sessionId = sessionIdOf(stolen.accessToken)
    const { rows } = await system(sql`select payload from outbox where kind = 'sessions.refresh_token_reused'`)
    t.same(rows, [{ payload: { userId: alpha.userId, sessionId } }])
    await refresh(app, stolen.refreshToken)
    t.equal(
      (await system(sql`select 1 from outbox where kind = 'sessions.refresh_token_reused'`)).rows.length,
      1,
      'once',
    )
    t.equal((await refresh(app, other.refreshToken)).statusCode, 200, 'other sessions of the person go on')
  },
)

t.test('what is no refresh token refreshes nothing', async (t) => {
  const { accessToken } = await signIn(app, alpha)
  for (const token of ['', 'x', 'x'.repeat(43), accessToken, 'é'.repeat(43)]) {
    t.equal((await refresh(app, token)).statusCode, 401, token.slice(0, 10))
  }
  t.equal((await post(app, '/v1/auth/refresh')).statusCode, 401)
})

t.test(
  'a session that was not used for two weeks is over, and so is one of a month however much it is used',
  async (t) => {
    for (const change of [sql`last_seen_at = now() - interval '14 days 1 minute'`, sql`expires_at = now()`]) {
      const { accessToken, refreshToken } = await signIn(app, alpha)
      const id = sessionIdOf(accessToken)
      await system(sql`update sessions set ${change} where id = ${id}`)
      t.equal((await refresh(app, refreshToken)).statusCode, 401)
      await eventually('the refusal', async () => (await statusOfMe(app, accessToken)) === 401, LIMIT_MS)
      const { data } = await list((await signIn(app, alpha)).accessToken)
      t.notOk(data.some((session: { id: string }) => session.id === id))
    }
  },
)

t.test('an access token does not outlive its session', async (t) => {
  const { accessToken, refreshToken } = await signIn(app, alpha)
  const id = sessionIdOf(accessToken)
  await system(sql`update sessions set expires_at = now() + interval '1 minute' where id = ${id}`)
  const expiresAt = Date.parse((await refresh(app, refreshToken)).json().expiresAt)
  t.ok(expiresAt <= Date.now() + 60_000)
})

t.test(
  'whoever signs out is out: at once here, within five seconds in every process, and the cookie is gone',
  async (t) => {
    const { app: second } = await startSecond(t)
    const { accessToken, refreshToken } = await signIn(app, alpha)
    const others = [await signIn(app, alpha), await signIn(app, beta)]
    t.equal(await statusOfMe(second, accessToken), 200, 'the other process remembers the session')
    const startedAt = performance.now()
    const answer = await app.inject(authorized(accessToken, { method: 'POST', url: '/v1/auth/logout' }))
    t.equal(answer.statusCode, 204, answer.body)
    t.match(answer.cookies, [{ name: COOKIE, value: '' }])
    t.equal(await statusOfMe(app, accessToken), 401)
    t.equal((await refresh(app, refreshToken)).statusCode, 401)
    await eventually('the refusal elsewhere', async () => (await statusOfMe(second, accessToken)) === 401, LIMIT_MS)
    t.comment(`the other process refused after ${Math.round(performance.now() - startedAt)} ms`)
    for (const other of others) t.equal(await statusOfMe(app, other.accessToken), 200, 'nobody else is')
  },
)

t.test('a session that ended stops acting within five seconds even when nobody tells the process', async (t) => {
  const { app: alone } = await startTestApp(t, { METERHOUSE_ROLES: 'api' })
  const [gamma] = await createTwoTenants(alone)
  const { accessToken } = await signIn(alone, gamma)
  t.equal(await statusOfMe(alone, accessToken), 200)
  const startedAt = performance.now()
  await alone.postgres.withSystem((tx) => tx.execute(sql`update sessions set ended_at = now()`))
  await eventually('the refusal', async () => (await statusOfMe(alone, accessToken)) === 401, LIMIT_MS)
  t.ok(performance.now() - startedAt < LIMIT_MS)
})

t.test('signing out closes what the session watches, and nothing that others watch', async (t) => {
  const base = await listen(app)
  const url = (projectId: string) => `${base}/v1/projects/${projectId}/live`
  const [mine, other] = [await signIn(app, alpha), await signIn(app, alpha)]
  const [closing, staying, foreign] = [
    await openLive(t, url(alpha.projectId), mine.accessToken),
    await openLive(t, url(alpha.projectId), other.accessToken),
    await openLive(t, url(beta.projectId), (await signIn(app, beta)).accessToken),
  ]
  await Promise.all([closing, staying, foreign].map((socket) => socket.frame('hello')))
  await app.inject(authorized(mine.accessToken, { method: 'POST', url: '/v1/auth/logout' }))
  await eventually('the close', async () => closing.closeCode() === 4001, LIMIT_MS)
  t.same([staying.closeCode(), foreign.closeCode()], [undefined, undefined])
})

t.test('signing out everywhere ends every session of the person and of nobody else', async (t) => {
  const mine = [await signIn(app, alpha), await signIn(app, alpha)]
  const other = await signIn(app, beta)
  const [first] = mine
  const request = { method: 'POST', url: '/v1/auth/logout-everywhere' } as const
  t.equal((await app.inject(authorized(first?.accessToken ?? '', request))).statusCode, 204)
  for (const { accessToken, refreshToken } of mine) {
    t.equal(await statusOfMe(app, accessToken), 401)
    t.equal((await refresh(app, refreshToken)).statusCode, 401)
  }
  t.equal(await statusOfMe(app, other.accessToken), 200)
})

t.test(
  'a person lists their own sessions with the device, by page, and ends one of them and none of others',
  async (t) => {
    const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
    const here = await signIn(app, beta, { headers: { 'user-agent': firefox }, remoteAddress: '203.0.113.7' })
    const there = await signIn(app, beta)
    const foreign = await signIn(app, alpha)
    const { data } = await list(here.accessToken)
    const current = data.find((session: { id: string }) => session.id === sessionIdOf(here.accessToken))
    t.match(current, { current: true, device: 'Firefox on Linux', ip: '203.0.113.7' })
    t.notOk(data.some((session: { id: string }) => session.id === sessionIdOf(foreign.accessToken)))
    const seen: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page = await list(here.accessToken, `?limit=1&cursor=${cursor}`)
      seen.push(...page.data.map((session: { id: string }) => session.id))
      cursor = page.nextCursor
    }
    t.same(
      seen,
      data.map((session: { id: string }) => session.id),
    )
    const end = (id: string) =>
      app.inject(authorized(here.accessToken, { method: 'DELETE', url: `/v1/me/sessions/${id}` }))
    const unknown = await end(`ses_${'0'.repeat(26)}`)
    const others = await end(sessionIdOf(foreign.accessToken))
    t.same([unknown.statusCode, others.statusCode], [404, 404])
    t.same({ ...others.json(), instance: '' }, { ...unknown.json(), instance: '' })
    t.equal(await statusOfMe(app, foreign.accessToken), 200)
    t.equal((await end(sessionIdOf(there.accessToken))).statusCode, 204)
    t.equal(await statusOfMe(app, there.accessToken), 401)
    t.equal((await refresh(app, there.refreshToken)).statusCode, 401)
  },
)

t.test('a request of another site is refused where a cookie acts', async (t) => {
  const { refreshToken, csrfToken } = await signIn(app, alpha)
  const refusals: Record<string, string>[] = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site', origin: 'http://localhost:3000' },
    { origin: 'https://evil.example' },
    { origin: 'null' },
  ]
  for (const headers of refusals) {
    const answer = await refresh(app, refreshToken, headers)
    t.match([answer.statusCode, answer.json().code], [403, 'auth.cross_site'], JSON.stringify(headers))
    const login = await post(app, '/v1/auth/login', {
      headers,
      payload: { email: alpha.email, password: alpha.password },
    })
    t.equal(login.statusCode, 403, 'nor can it sign a visitor in as somebody else')
  }
  const forms = { 'content-type': 'application/x-www-form-urlencoded' }
  const form = await post(app, '/v1/auth/refresh', {
    cookies: { [COOKIE]: refreshToken },
    headers: forms,
    payload: 'a=b',
  })
  t.equal(form.statusCode, 415)
  const welcome: Record<string, string>[] = [
    { 'sec-fetch-site': 'same-origin' },
    { origin: 'http://app.example', host: 'app.example' },
    {},
  ]
  for (const headers of welcome) {
    const csrf = { 'x-csrf-token': csrfToken }
    t.equal((await refresh(app, refreshToken, { ...headers, ...csrf })).statusCode, 200, JSON.stringify(headers))
  }
})

t.test('a browser refreshes with the csrf token of its own session only, and a wrong one spends nothing', async (t) => {
  const [own, other] = await Promise.all([signIn(app, alpha), signIn(app, beta)])
  const page = { 'sec-fetch-site': 'same-origin' }
  for (const given of [undefined, '', other.csrfToken, 'é']) {
    const headers = given === undefined ? page : { ...page, 'x-csrf-token': given }
    const answer = await refresh(app, own.refreshToken, headers)
    t.match([answer.statusCode, answer.json().code], [403, 'auth.csrf_token_invalid'], JSON.stringify(headers))
  }
  const answer = await refresh(app, own.refreshToken, { ...page, 'x-csrf-token': own.csrfToken })
  t.equal(answer.statusCode, 200)
  const cookie = answer.cookies.find(({ name }) => name === 'meterhouse_csrf')
  t.match(cookie, { value: own.csrfToken, sameSite: 'Strict' }, 'it stays the same for the whole session')
  t.notOk(cookie?.httpOnly, 'the page has to read it')
})

t.test(
  'five wrong passwords make the next wait, longer each time, for that account from that network only',
  async (t) => {
    const remoteAddress = newAddress()
    const attempt = (email: string, password: string, from = remoteAddress) =>
      post(app, '/v1/auth/login', { payload: { email, password }, remoteAddress: from })
    for (const email of [alpha.email, 'nobody@example.com']) {
      const address = newAddress()
      for (let i = 0; i < 5; i++) t.equal((await attempt(email, 'wrong password', address)).statusCode, 401)
      const refused = await attempt(email.toUpperCase(), alpha.password, address)
      t.match([refused.statusCode, refused.json().code], [429, 'identity.too_many_attempts'], email)
      const seconds = Number(refused.headers['retry-after'])
      t.ok(seconds > 50 && seconds <= 60, `${seconds} s`)
      t.equal((await attempt(beta.email, beta.password, address)).statusCode, 200, 'others of the network')
      await app.redis.del(await app.redis.keys(`login:*:${address}:pause`))
      t.equal((await attempt(email, 'wrong password', address)).statusCode, 401, 'after the pause')
      const again = Number((await attempt(email, 'wrong password', address)).headers['retry-after'])
      t.ok(again > 110 && again <= 120, `${again} s`)
    }
    t.equal((await attempt(alpha.email, alpha.password)).statusCode, 200, 'the person at another address')
  },
)

t.test('a right password clears the count', async (t) => {
  const remoteAddress = newAddress()
  for (let round = 0; round < 2; round++) {
    for (const password of ['wrong', 'wrong', 'wrong', alpha.password]) {
      const expected = password === 'wrong' ? 401 : 200
      const request = { payload: { email: alpha.email, password }, remoteAddress }
      t.equal((await post(app, '/v1/auth/login', request)).statusCode, expected)
    }
  }
})

t.test('while Redis is away nobody signs in, as nobody could count the attempts', async (t) => {
  const { app: alone, redis } = await startTestApp(t)
  const [gamma] = await createTwoTenants(alone)
  const { accessToken } = await signIn(alone, gamma)
  await redis.stop()
  const answer = await post(alone, '/v1/auth/login', { payload: { email: gamma.email, password: gamma.password } })
  t.equal(answer.statusCode, 503, answer.body)
  t.equal(await statusOfMe(alone, accessToken), 200, 'whoever is signed in goes on')
})

/** Another process on the same databases; without the role jobs nobody moves facts. */
async function startSecond(t: Test, roles = 'api'): Promise<{ app: FastifyInstance }> {
  const second = await buildApp(loadConfig({ ...environment, METERHOUSE_ROLES: roles }), false)
  await second.ready()
  t.teardown(() => second.close())
  return { app: second }
}
