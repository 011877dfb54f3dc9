import t from 'tap'
import { newId } from '../../src/ids.ts'
import { newAddress, post, refreshTokenOf, statusOfMe } from '../helpers/accounts.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { startTestMailbox } from '../helpers/mailbox.ts'
import { sessionOf } from '../helpers/principals.ts'
import { addSecondFactor, codeOf } from '../helpers/second-factor.ts'
import { CLIENT, PUBLIC_URL, startSignInProvider, visitProvider } from '../helpers/sign-in-provider.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const FLOW = 'meterhouse_sign_in'
const HTML = { accept: 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8' }
const provider = await startSignInProvider(t, ['corp'])
const mailbox = await startTestMailbox(t)
const { app } = await startTestApp(t, {
  METERHOUSE_SMTP_URL: mailbox.url,
  METERHOUSE_PUBLIC_URL: PUBLIC_URL,
  METERHOUSE_OIDC_PROVIDERS: JSON.stringify([{ id: 'corp', name: 'Corp & Co', issuer: provider.issuer, ...CLIENT }]),
})

/** Gives a person an account at the provider, with the address that they have here. */
function knownThere({ email }: { email: string }): string {
  const subject = newId('evt')
  provider.accounts.set(subject, { email, email_verified: true })
  return subject
}

async function comeFrom(subject: string, remoteAddress: string, headers: Record<string, string> = {}, query = '') {
  const start = await app.inject({ url: `/v1/auth/providers/corp/start${query}`, remoteAddress })
  const flow = start.cookies.find(({ name }) => name === FLOW)?.value ?? ''
  const back = await visitProvider(String(start.headers.location), subject)
  return app.inject({ url: `${back.pathname}${back.search}`, cookies: { [FLOW]: flow }, headers, remoteAddress })
}

const answer = (payload: object, remoteAddress: string) =>
  post(app, '/v1/auth/second-factor', { payload, remoteAddress })

t.test('a provider does not lead around the second factor: there is a challenge and no session', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const { secret } = await addSecondFactor(app, alpha)
  const ip = newAddress()
  const asked = await comeFrom(knownThere(alpha), ip)
  t.match(asked.json(), { secondFactor: 'required', challenge: /^[\w-]{43}$/ })
  t.equal(refreshTokenOf(asked), '')
  t.match(asked.headers['cache-control'], 'no-store')
  const granted = await answer({ challenge: asked.json().challenge, code: codeOf(secret) }, ip)
  t.equal(await statusOfMe(app, granted.json().accessToken), 200)
  const others = await comeFrom(knownThere(beta), ip)
  t.equal(others.statusCode, 302)
  t.match(refreshTokenOf(others), /^[\w-]{43}$/)
})

t.test('a browser goes on to the page that asks for the code, which the URL names to no server', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const { secret } = await addSecondFactor(app, alpha)
  const ip = newAddress()
  const asked = await comeFrom(knownThere(alpha), ip, HTML, '?returnTo=/docs/')
  t.equal(asked.statusCode, 302)
  t.equal(refreshTokenOf(asked), '')
  const location = new URL(String(asked.headers.location), PUBLIC_URL)
  t.match(location, { pathname: '/account/second-factor', search: '', origin: PUBLIC_URL })
  const given = new URLSearchParams(location.hash.slice(1))
  t.equal(given.get('returnTo'), `${PUBLIC_URL}/docs/`)
  t.match((await app.inject({ url: location.pathname })).body, '<form id="second-factor"')
  const granted = await answer({ challenge: given.get('challenge'), code: codeOf(secret) }, ip)
  t.equal(granted.statusCode, 200)
  t.equal((await comeFrom(knownThere(beta), ip, HTML)).headers.location, `${PUBLIC_URL}/account/signed-in`)
})

t.test('a challenge ends when the way in that it came by is removed', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const { secret } = await addSecondFactor(app, alpha)
  const ip = newAddress()
  const { challenge } = (await comeFrom(knownThere(alpha), ip)).json()
  await comeFrom(knownThere(beta), ip)
  const as = (method: 'GET' | 'DELETE', url: string) =>
    app.inject(authorized(sessionOf(app, alpha.userId), { method, url }))
  const [{ id }] = (await as('GET', '/v1/me/identities')).json().data
  t.equal((await as('DELETE', `/v1/me/identities/${id}`)).statusCode, 204)
  const spoilt = await answer({ challenge, code: codeOf(secret) }, ip)
  t.match(spoilt.json(), { status: 401, code: 'identity.challenge_over' })
  t.ok(await mailbox.next(alpha.email, 1, /way into your account was removed/))
})

t.test('who has had an account is told by mail that a provider signs them in, and a new person is not', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const fresh = `${newId('usr')}@example.com`
  await comeFrom(knownThere({ email: fresh }), newAddress())
  await comeFrom(knownThere(alpha), newAddress())
  const { text } = await mailbox.next(alpha.email, 1, /another way into your account/)
  t.match(text, 'Corp & Co')
  t.same(mailbox.about(fresh, /another way/), [])
  t.same(mailbox.to(beta.email), [])
})

t.test('a person reads what went wrong as a page, and a program gets a problem', async (t) => {
  const url = '/v1/auth/providers/corp/callback?state=x'
  const page = await app.inject({ url, headers: HTML, remoteAddress: newAddress() })
  t.equal(page.statusCode, 422)
  t.match(page.headers['content-type'], 'text/html')
  t.equal(Number(page.headers['content-length']), Buffer.byteLength(page.body))
  t.match(page.body, '<h2>This sign-in cannot be finished</h2>')
  const problem = await app.inject({ url, remoteAddress: newAddress() })
  t.match(problem.headers['content-type'], 'application/problem+json')
  t.match(problem.json(), { status: 422, code: 'auth.flow_not_valid' })
  const odd = '/v1/auth/providers/corp/callback?%3Cscript%3E=1'
  t.notMatch((await app.inject({ url: odd, headers: HTML, remoteAddress: newAddress() })).body, '<script>')
})
