import { randomUUID } from 'node:crypto'
import { Writable } from 'node:stream'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import { buildApp } from '../../src/app.ts'
import { loggerOptions } from '../../src/http/request-log.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { sessionOf } from '../helpers/principals.ts'
import { storedCount, storedEvents } from '../helpers/sdk.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const { app, config } = await startTestApp(t)
const ORIGIN = 'https://shop.example'

const preflight = (url: string, headers: Record<string, string> = {}) =>
  app.inject({
    method: 'OPTIONS',
    url,
    headers: { origin: ORIGIN, 'access-control-request-method': 'POST', ...headers },
  })

t.test('a page of any origin may send, and is told when to come back', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  for (const url of ['/v1/events', '/v1/t', '/v1/batch', '/e/?ip=0', '/flags/?v=2', '/api/v1/events']) {
    const answer = await preflight(url)
    t.equal(answer.statusCode, 204, url)
    t.match(answer.headers, {
      'access-control-allow-origin': ORIGIN,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': /POST/,
      'access-control-allow-headers': /authorization, content-type.*x-retry-count/,
      'access-control-max-age': '86400',
      vary: /origin/i,
    })
  }
  const payload = { event: 'Seen', messageId: 'cors-1' }
  const headers = { origin: ORIGIN }
  const taken = await app.inject(authorized(alpha.writeKey, { method: 'POST', url: '/v1/t', headers, payload }))
  const refused = await app.inject(authorized('nonsense', { method: 'POST', url: '/v1/t', headers, payload }))
  for (const [answer, status] of [
    [taken, 200],
    [refused, 401],
  ] as const) {
    t.equal(answer.statusCode, status)
    t.match(answer.headers, {
      'access-control-allow-origin': ORIGIN,
      'access-control-expose-headers': /retry-after/,
    })
  }
  t.equal((await storedCount(app, alpha.projectId, 1)).length, 1)
  t.same(await storedEvents(app, beta.projectId), [])
})

t.test('only pages of the origins that a project lists may send with its keys; programs go on', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const url = `/v1/projects/${alpha.projectId}`
  const payload = { allowedOrigins: [ORIGIN, 'https://*.shop.example'] }
  t.equal(
    (await app.inject(authorized(sessionOf(app, alpha.userId), { method: 'PATCH', url, payload }))).statusCode,
    200,
  )
  const body = (key: string) => ({ event: 'Seen', writeKey: key, api_key: key, messageId: randomUUID() })
  const cloudEvent = { specversion: '1.0', id: '1', source: '/page', type: 'Seen' }
  const ways: Record<string, (key: string, headers: Record<string, string>) => InjectOptions> = {
    'the key in the header': (key, headers) =>
      authorized(key, { method: 'POST', url: '/v1/events', headers, payload: { event: 'Seen' } }),
    'the key in the header of an SDK': (key, headers) =>
      authorized(key, { method: 'POST', url: '/v1/t', headers, payload: { event: 'Seen' } }),
    'a beacon of Segment': (key, headers) => ({
      method: 'POST',
      url: '/v1/t',
      headers: { ...headers, 'content-type': 'text/plain' },
      payload: JSON.stringify(body(key)),
    }),
    'a beacon of PostHog': (key, headers) => ({
      method: 'POST',
      url: '/e/?beacon=1&compression=base64',
      headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
      payload: `data=${encodeURIComponent(Buffer.from(JSON.stringify(body(key))).toString('base64'))}`,
    }),
    'a CloudEvent': (key, headers) =>
      authorized(key, { method: 'POST', url: '/api/v1/events', headers, payload: cloudEvent }),
  }
  for (const [way, request] of Object.entries(ways)) {
    for (const origin of ['https://evil.example', 'null', 'http://shop.example', `${ORIGIN}:8443`]) {
      const refused = await app.inject(request(alpha.writeKey, { origin }))
      t.match([refused.statusCode, refused.json().code], [403, 'events.origin_not_allowed'], `${way} of ${origin}`)
      t.notOk(refused.headers['access-control-allow-origin'])
      t.match(refused.headers.vary, /origin/i)
    }
    for (const origin of [undefined, ORIGIN, 'https://a.b.shop.example']) {
      const taken = await app.inject(request(alpha.writeKey, origin ? { origin } : {}))
      t.ok(taken.statusCode < 300, `${way}: ${taken.body}`)
      t.equal(taken.headers['access-control-allow-origin'], origin)
    }
    const others = await app.inject(request(beta.writeKey, { origin: 'https://evil.example' }))
    t.ok(others.statusCode < 300, 'a project that lists none takes all')
    t.equal(others.headers['access-control-allow-origin'], 'https://evil.example')
  }
  t.equal((await preflight('/v1/t', { origin: 'https://evil.example' })).statusCode, 204, 'a preflight has no key')
  t.equal(
    (await app.inject(ways['a beacon of Segment']?.('', { origin: 'https://evil.example' }) ?? '')).statusCode,
    401,
  )
})

t.test('no page of another origin may use anything else', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const url = `/v1/projects/${alpha.projectId}/query`
  for (const path of [url, '/v1/me', '/v1/auth/login', '/', '/nowhere', '*']) {
    const answer = await preflight(path)
    t.equal(answer.statusCode, 404, path)
    t.notOk(answer.headers['access-control-allow-headers'], path)
  }
  const read = await app.inject(authorized(alpha.apiKey, { url: '/v1/me', headers: { origin: ORIGIN } }))
  t.notOk(read.headers['access-control-allow-origin'])
  t.equal((await app.inject({ method: 'OPTIONS', url: '/v1/events' })).statusCode, 404, 'this is no preflight')
})

t.test(
  'a beacon, which is plain text with a cookie and no header of ours, is stored by the key in its body',
  async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    const beacon = (writeKey: string) =>
      app.inject({
        method: 'POST',
        url: '/v1/batch',
        headers: { origin: ORIGIN, cookie: 'session=1', 'content-type': 'text/plain;charset=UTF-8' },
        payload: JSON.stringify({ writeKey, batch: [{ type: 'page', anonymousId: 'a', messageId: 'beacon-1' }] }),
      })
    for (const { writeKey, projectId } of [alpha, beta]) {
      t.equal((await beacon(writeKey)).statusCode, 200)
      t.match(await storedCount(app, projectId, 1), [{ message_id: 'beacon-1', event: 'Page Viewed' }])
    }
    t.equal((await beacon('')).statusCode, 401)
  },
)

t.test('a script of ours may be loaded by a page of another origin', async (t) => {
  const answer = await app.inject({ method: 'GET', url: '/array/mh_write_x/config.js' })
  t.equal(answer.headers['cross-origin-resource-policy'], 'cross-origin')
  t.equal((await app.inject({ method: 'GET', url: '/' })).headers['cross-origin-resource-policy'], 'same-origin')
})

t.test('a key in the body or in the path of a browser library does not reach the log', async (t) => {
  const lines: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  const logged = await buildApp(config, {
    ...loggerOptions({ level: 'trace', format: 'json' } as typeof config.log, false),
    stream,
  })
  t.teardown(() => logged.close())
  const [alpha] = await createTwoTenants(logged)
  const payload = { writeKey: alpha.writeKey, event: 'Logged' }
  t.equal((await logged.inject({ method: 'POST', url: '/v1/track', payload })).statusCode, 200)
  const refused = await logged.inject({ method: 'POST', url: '/v1/track', payload: { ...payload, event: '' } })
  t.equal(refused.statusCode, 422)
  for (const url of ['/v1/projects/KEY/settings', '/array/KEY/config', '/array/KEY/config.js']) {
    t.equal((await logged.inject({ method: 'GET', url: url.replace('KEY', alpha.writeKey) })).statusCode, 200)
  }
  t.match(lines.join(''), /"path":"\/v1\/track"/, 'the log is written')
  t.notOk(lines.join('').includes(alpha.writeKey))
})
