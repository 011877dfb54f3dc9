import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import { newId } from '../../src/ids.ts'
import { newAddress, post, signIn } from '../helpers/accounts.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { startTestMailbox, tokenIn } from '../helpers/mailbox.ts'
import { type Operation, operationsOf, sampleOf } from '../helpers/openapi-operations.ts'
import { sessionOf } from '../helpers/principals.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const EVIL = 'https://evil.example'
const MARKUP = '<img src=x onerror=alert(1)>'
const HALF_A_YEAR_SECONDS = 15_768_000
const SECRET = 'a secret of its own, long enough to sign with'

const mailbox = await startTestMailbox(t)
const { app } = await startTestApp(t, {
  METERHOUSE_SMTP_URL: mailbox.url,
  METERHOUSE_MODE: 'production',
  METERHOUSE_JWT_SECRET: SECRET,
})
const [alpha] = await createTwoTenants(app)
const operations = await operationsOf(app)
const owner = sessionOf(app, alpha.userId)
/** Routes that take events from pages of any origin; they act on the key in the request and on nothing else. */
const isIngestion = (path: string) =>
  /\/settings$/.test(path) ||
  !/^\/(v1\/(auth|me|organizations|projects|plans|admin|invitations)|health|metrics)/.test(path)
const own = operations.filter(({ path }) => !isIngestion(path))
const ingestion = operations.filter(({ path, method }) => isIngestion(path) && method === 'POST')

function requestOf({ method, path, body, parameters }: Operation): InjectOptions {
  const ids: Record<string, string> = { projectId: alpha.projectId, organizationId: alpha.organizationId }
  const required = parameters.filter((p) => p.in === 'query' && p.required)
  return {
    method: method as 'GET',
    url: path.replace(/\{(\w+)\}/g, (_, name: string) => ids[name] ?? 'nothing'),
    query: Object.fromEntries(required.map(({ name, schema }) => [name, String(sampleOf(schema))])),
    remoteAddress: newAddress(),
    ...(body ? { payload: sampleOf(body) as object } : {}),
  }
}
/** To everybody else these look like paths that are not there. */
const isForOperators = ({ path }: Operation) => path.startsWith('/v1/admin/')
const isHarmless = ({ method, path }: Operation) => method !== 'DELETE' && !/logout|leave|transfer|password/.test(path)

/** What the browser of a visitor has after a sign-in. */
async function cookiesOf({ email, password }: { email: string; password: string }): Promise<Record<string, string>> {
  const { cookies } = await post(app, '/v1/auth/login', { payload: { email, password } })
  if (cookies.length < 2) throw new Error('the sign-in set no cookies')
  return Object.fromEntries(cookies.map(({ name, value }) => [name, value]))
}

t.test(
  'J1: no other origin reads an answer of the API, and pages that send events bring no cookie that counts',
  async (t) => {
    t.ok(own.length > 50 && ingestion.length > 5, `${own.length} and ${ingestion.length} operations`)
    for (const origin of [EVIL, 'null']) {
      for (const operation of own.filter((each) => isHarmless(each) && (origin === EVIL || each.method === 'GET'))) {
        const request = authorized(owner, { ...requestOf(operation), headers: { origin } })
        const { headers } = await app.inject(request)
        const allowed = Object.keys(headers).filter((name) => name.startsWith('access-control-'))
        t.same(allowed, [], `${operation.method} ${operation.path} from ${origin}`)
        const preflight = { origin, 'access-control-request-method': operation.method }
        const answer = await app.inject({ method: 'OPTIONS', url: String(request.url), headers: preflight })
        t.notOk(answer.headers['access-control-allow-origin'], `preflight of ${operation.path}`)
      }
    }
    const cookies = await cookiesOf(alpha)
    for (const operation of ingestion) {
      const { statusCode } = await app.inject({ ...requestOf(operation), cookies, headers: { origin: EVIL } })
      t.ok(statusCode >= 400 || /flags|decide/.test(operation.path), `${operation.path} answers ${statusCode}`)
    }
  },
)

t.test('J2: what a browser needs to know is on every answer, and nothing of a person is kept by a cache', async (t) => {
  const pages = ['/', '/docs/', '/account/reset-password', '/account.js', '/nowhere']
  for (const url of pages) {
    const { headers } = await app.inject({ url })
    const policy = String(headers['content-security-policy'])
    // The library that shows the reference brings styles and a script of its own inside of the page.
    t.notMatch(policy, url === '/docs/' ? /unsafe-eval/ : /unsafe-(inline|eval)/, url)
    for (const directive of ['object-src', 'base-uri', 'frame-ancestors']) t.match(policy, `${directive} 'none'`, url)
    t.match(headers, { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' }, url)
    const [, maxAge = 0] = String(headers['strict-transport-security']).match(/max-age=(\d+); includeSubDomains/) ?? []
    t.ok(Number(maxAge) >= 2 * HALF_A_YEAR_SECONDS, `${url}: ${maxAge} s`)
  }
  for (const operation of own.filter(
    (operation) => isHarmless(operation) && !operation.isPublic && !isForOperators(operation),
  )) {
    const { headers } = await app.inject(authorized(owner, requestOf(operation)))
    t.match(headers, { 'cache-control': /no-store/, 'x-content-type-options': 'nosniff' }, operation.path)
  }
})

t.test('J3: a form or a script of another site changes nothing with the cookie of a visitor', async (t) => {
  const cookies = await cookiesOf(alpha)
  const writes = operations.filter(({ method, path }) => method !== 'GET' && !/flags|decide/.test(path))
  t.ok(writes.length > 40)
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    undefined,
  ]) {
    for (const operation of writes) {
      const { payload, ...request } = requestOf(operation)
      const headers = { origin: EVIL, 'sec-fetch-site': 'cross-site', ...(type && { 'content-type': type }) }
      const answer = await app.inject({
        ...request,
        cookies,
        headers,
        ...(type && { payload: JSON.stringify(payload ?? {}) }),
      })
      const status = answer.statusCode
      t.ok([400, 401, 403, 404, 415].includes(status), `${operation.method} ${operation.path} as ${type}: ${status}`)
      t.notOk(answer.headers['set-cookie'], 'and no cookie is set')
    }
  }
  const headers = { 'sec-fetch-site': 'same-origin', 'x-csrf-token': cookies['__Host-meterhouse_csrf'] ?? '' }
  t.equal((await post(app, '/v1/auth/refresh', { cookies, headers })).statusCode, 200, 'the session has gone on')
})

t.test('J4: markup in names and events is text in every mail, page and file', async (t) => {
  const email = `${newId('usr')}@example.org`
  const [password, name] = ['correct horse battery', MARKUP]
  await post(app, '/v1/auth/register', { payload: { email, password, name, organizationName: MARKUP } })
  await post(app, '/v1/auth/verify-email', { payload: { token: tokenIn(await mailbox.next(email)) } })
  const { accessToken } = await signIn(app, { email, password }, { headers: { 'user-agent': MARKUP } })
  const me = await app.inject(authorized(accessToken, { url: '/v1/me' }))
  t.match(me.headers['content-type'], /^application\/json/)
  const [{ organizationId }] = me.json().memberships
  const guest = `${newId('usr')}@example.org`
  const payload = { email: guest, role: 'viewer' }
  await app.inject(
    authorized(accessToken, { method: 'POST', url: `/v1/organizations/${organizationId}/invitations`, payload }),
  )
  await post(app, '/v1/auth/forgot-password', { payload: { email } })
  await signIn(app, { email, password }, { headers: { 'user-agent': `Another ${MARKUP}` } })
  await Promise.all([mailbox.next(guest), mailbox.next(email, 1, /new password/)])
  await eventually('the mails', async () => mailbox.to(email).length >= 3)
  const mails = [...mailbox.to(email), ...mailbox.to(guest)]
  for (const { text, subject } of mails) {
    t.notMatch(subject, '<img')
    const html = text.slice(text.search(/content-type: text\/html/i))
    t.match(html, /<(html|!doctype)/i, `${subject} has a page`)
    t.notMatch(html, /<img[^>]*onerror/i, subject)
  }
  t.ok(
    mails.some(({ text }) => text.includes('&lt;img')),
    'and what they called themselves is shown',
  )

  const event = { event: MARKUP, userId: MARKUP, properties: { [MARKUP]: MARKUP } }
  await app.inject(authorized(alpha.writeKey, { method: 'POST', url: '/v1/events', payload: event }))
  const stored = await eventually('the event', async () => {
    const answer = await app.inject(authorized(alpha.apiKey, { url: `/v1/projects/${alpha.projectId}/events` }))
    return answer.json().data?.length > 0 && answer
  })
  t.match(stored.headers, { 'content-type': /^application\/json/, 'x-content-type-options': 'nosniff' })
  t.equal(stored.json().data[0].event, MARKUP, 'as it was sent')
  const file = await app.inject(
    authorized(accessToken, { url: `/v1/organizations/${organizationId}/audit-log/export` }),
  )
  t.match(file.headers, { 'content-disposition': /^attachment/, 'x-content-type-options': 'nosniff' })
  for (const path of ['/', '/docs/', '/account/verify-email']) {
    const page = await app.inject({ url: `${path}?name=${encodeURIComponent(MARKUP)}` })
    t.notMatch(page.body, /onerror/, path)
  }
})

t.test('J4: no script of a page makes markup out of text', async (t) => {
  const scripts = readdirSync('src', { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.js'))
  t.ok(scripts.length >= 2)
  for (const script of scripts)
    t.notMatch(
      readFileSync(join('src', script), 'utf8'),
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/,
      script,
    )
})
