import { sql } from 'drizzle-orm'
import t from 'tap'
import { newAddress, refresh, refreshTokenOf } from '../helpers/accounts.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { startGitHubDouble } from '../helpers/github-double.ts'
import { CLIENT, PUBLIC_URL, visitProvider } from '../helpers/sign-in-provider.ts'

const FLOW = 'meterhouse_sign_in'
const { state, endpoints } = await startGitHubDouble(t)
const { app } = await startTestApp(t, {
  METERHOUSE_PUBLIC_URL: PUBLIC_URL,
  METERHOUSE_OIDC_PROVIDERS: JSON.stringify([{ id: 'github', name: 'GitHub', preset: 'github', endpoints, ...CLIENT }]),
})

async function signIn(spoil: (url: URL) => void = () => {}) {
  const start = await app.inject({ url: '/v1/auth/providers/github/start', remoteAddress: newAddress() })
  const url = await visitProvider(String(start.headers.location), 'nobody')
  spoil(url)
  const cookies = { [FLOW]: start.cookies.find(({ name }) => name === FLOW)?.value ?? '' }
  return app.inject({ url: `${url.pathname}${url.search}`, cookies, remoteAddress: newAddress() })
}

const meOf = async (answer: Awaited<ReturnType<typeof signIn>>) => {
  const { accessToken } = (await refresh(app, refreshTokenOf(answer))).json()
  return (await app.inject(authorized(accessToken, { url: '/v1/me' }))).json()
}

const primary = { email: 'ada@example.com', primary: true, verified: true }

t.test('the confirmed primary address counts, and the number of the account stays when its name changes', async (t) => {
  const other = { email: 'other@example.com', primary: false, verified: true }
  state.user = { id: 4711, login: 'ada', name: null, emails: [other, primary] }
  const answer = await signIn()
  t.equal(answer.statusCode, 302, answer.body)
  const me = await meOf(answer)
  t.match(me, { email: primary.email, name: 'ada' })
  state.user = { id: 4711, login: 'countess', name: 'Ada', emails: [{ ...primary, email: 'new@example.com' }] }
  t.equal((await meOf(await signIn())).id, me.id)
  const { rows } = await app.postgres.withSystem((tx) =>
    tx.execute(sql`select provider_id, subject from user_identities`),
  )
  t.same(rows, [{ provider_id: 'github', subject: '4711' }])
})

t.test('an address that is not primary or not confirmed opens no account', async (t) => {
  const lists = [[], [{ ...primary, primary: false }], [{ ...primary, verified: false }]]
  for (const emails of lists) {
    state.user = { id: 4712, login: 'eve', name: 'Eve', emails }
    t.match((await signIn()).json(), { status: 403, code: 'auth.provider_refused' })
  }
})

t.test('a code that GitHub does not redeem and a user that it does not name sign nobody in', async (t) => {
  state.user = { id: 4713, login: 'eve', name: 'Eve', emails: [primary] }
  const wrongCode = await signIn((url) => url.searchParams.set('code', 'x'))
  t.match(wrongCode.json(), { status: 502, code: 'auth.provider_failed' })
  state.user = { ...state.user, id: 'x' as unknown as number }
  t.match((await signIn()).json(), { status: 502, code: 'auth.provider_failed' })
  state.user = undefined
  t.match((await signIn()).json(), { status: 502, code: 'auth.provider_failed' })
})
