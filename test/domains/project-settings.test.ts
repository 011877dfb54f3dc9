import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { buildApp } from '../../src/app.ts'
import { isAllowedOrigin, normalizeOrigin } from '../../src/domains/projects/origins.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { sessionOf } from '../helpers/principals.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const LIMIT_MS = 5000

const change = (app: FastifyInstance, { userId, projectId }: TestTenant, payload: Record<string, unknown>) =>
  app.inject(authorized(sessionOf(app, userId), { method: 'PATCH', url: `/v1/projects/${projectId}`, payload }))

const read = (app: FastifyInstance, { userId, projectId }: TestTenant) =>
  app.inject(authorized(sessionOf(app, userId), { url: `/v1/projects/${projectId}` }))

t.test('an origin is kept in the form in which browsers write it, and what is none is refused', (t) => {
  const ORIGINS = {
    'https://App.Example.com:443/': 'https://app.example.com',
    'http://localhost:5173': 'http://localhost:5173',
    'http://[::1]:80': 'http://[::1]',
    'https://*.example.com': 'https://*.example.com',
    'http://*.localhost:3000': 'http://*.localhost:3000',
    'https://bücher.example': 'https://xn--bcher-kva.example',
  }
  for (const [text, origin] of Object.entries(ORIGINS)) t.same(normalizeOrigin(text), { origin }, text)
  const NONE = ['', '*', 'null', 'app.example.com', 'ftp://x.example', 'https://', 'https://x.example/path']
  const NEITHER = ['https://x.example?', 'https://x.example#', 'https://u:p@x.example', 'https://*.com', 'https://*']
  const STARS = ['https://a.*.example.com', 'https://*.*.example.com', 'https://*x.example.com', 'https://*.1.2.3.4']
  for (const text of [...NONE, ...NEITHER, ...STARS]) t.match(normalizeOrigin(text), { fault: String }, text)
  t.end()
})

t.test('a star stands for every subdomain and for nothing else', (t) => {
  const allowed = ['https://*.example.com', 'https://shop.example:8443']
  for (const origin of ['https://a.example.com', 'https://a.b.example.com', 'https://shop.example:8443'])
    t.ok(isAllowedOrigin(origin, allowed), origin)
  const FOREIGN = ['https://example.com', 'https://.example.com', 'http://a.example.com', 'https://a.example.com:8443']
  const LOOKALIKES = [
    'https://badexample.com',
    'https://a.example.com.evil.example',
    'https://shop.example',
    'null',
    '',
  ]
  for (const origin of [...FOREIGN, ...LOOKALIKES]) t.notOk(isAllowedOrigin(origin, allowed), origin)
  t.ok(isAllowedOrigin('null', []), 'naming none allows all')
  t.end()
})

t.test('a project is changed field by field, and only by its own people', async (t) => {
  const { app } = await startTestApp(t)
  const [alpha, beta] = await createTwoTenants(app)
  const before = (await read(app, beta)).json()
  t.match(before, { id: beta.projectId, organizationId: beta.organizationId, allowedOrigins: [], ipPolicy: 'truncate' })
  t.match(before, { timeZone: 'UTC', retentionDays: null })
  const first = await change(app, alpha, { allowedOrigins: ['HTTPS://Shop.example/', 'https://shop.example'] })
  t.equal(first.statusCode, 200, first.body)
  t.match(first.json(), { name: 'Test', allowedOrigins: ['https://shop.example'], ipPolicy: 'truncate' })
  const second = await change(app, alpha, { name: 'Shop', ipPolicy: 'drop' })
  t.match(second.json(), { name: 'Shop', allowedOrigins: ['https://shop.example'], ipPolicy: 'drop' })
  const third = await change(app, alpha, { timeZone: 'europe/berlin', retentionDays: 90 })
  t.match(third.json(), { name: 'Shop', timeZone: 'Europe/Berlin', retentionDays: 90 })
  const fourth = await change(app, alpha, { retentionDays: null })
  t.match(fourth.json(), { timeZone: 'Europe/Berlin', retentionDays: null, ipPolicy: 'drop' })
  t.same((await read(app, alpha)).json(), fourth.json())
  const foreign = await change(app, { ...alpha, userId: beta.userId }, { name: 'Stolen' })
  t.match([foreign.statusCode, foreign.json().code], [404, 'projects.not_found'])
  t.same((await read(app, beta)).json(), before)
})

t.test('what cannot be is refused by the field that is wrong, and nothing of it is done', async (t) => {
  const { app } = await startTestApp(t)
  const [alpha] = await createTwoTenants(app)
  for (const [payload, path] of [
    [{ name: 'x', allowedOrigins: ['https://a.example', 'a.example'] }, '/allowedOrigins/1'],
    [{ name: 'x', allowedOrigins: [17] }, '/allowedOrigins/0'],
    [{ name: 'x', allowedOrigins: null }, '/allowedOrigins'],
    [{ name: 'x', ipPolicy: 'forget' }, '/ipPolicy'],
    [{ name: 'x', timeZone: 'Europe/Atlantis' }, '/timeZone'],
    [{ name: 'x', timeZone: '+01:00' }, '/timeZone'],
    [{ name: 'x', retentionDays: 0 }, '/retentionDays'],
    [{ name: 'x', retentionDays: 3651 }, '/retentionDays'],
    [{ name: 'x', retentionDays: 1.5 }, '/retentionDays'],
    [{ name: 'x', eventsKeptFrom: null }, '/eventsKeptFrom'],
    [{ name: '' }, '/name'],
    [{ name: 'x', organizationId: 'org_x' }, '/organizationId'],
    [{}, ''],
  ] as const) {
    const answer = await change(app, alpha, payload)
    t.equal(answer.statusCode, 400, answer.body)
    const paths = answer.json().errors.map((error: { path: string }) => error.path)
    t.ok(paths.includes(path), `${path} in ${paths}`)
  }
  t.equal((await read(app, alpha)).json().name, 'Test')
})

for (const [title, roles] of [
  ['at once in the process that was asked, and within five seconds in every other', 'all'],
  ['within five seconds in every process even when nobody tells it', 'api'],
] as const) {
  t.test(`a change of the allowed origins acts ${title}`, async (t) => {
    const { app, config } = await startTestApp(t, { METERHOUSE_ROLES: roles })
    const other = await buildApp(config, false)
    t.teardown(() => other.close())
    const [alpha, beta] = await createTwoTenants(app)
    const send = async (process: FastifyInstance, { writeKey }: TestTenant) => {
      const headers = { origin: 'https://evil.example' }
      const payload = { event: 'Seen' }
      return (await process.inject(authorized(writeKey, { method: 'POST', url: '/v1/events', headers, payload })))
        .statusCode
    }
    for (const process of [app, other]) t.equal(await send(process, alpha), 202, 'the process remembers the key')
    const startedAt = performance.now()
    t.equal((await change(app, alpha, { allowedOrigins: ['https://shop.example'] })).statusCode, 200)
    t.equal(await send(app, alpha), 403)
    await eventually('the refusal', async () => (await send(other, alpha)) === 403, LIMIT_MS + 1000)
    t.ok(performance.now() - startedAt < LIMIT_MS)
    for (const process of [app, other]) t.equal(await send(process, beta), 202, 'the project of others goes on')
  })
}

t.test('a name or a cursor that no text column can hold is refused by its field', async (t) => {
  const { app } = await startTestApp(t)
  const [alpha] = await createTwoTenants(app)
  const base = `/v1/projects/${alpha.projectId}`
  const refused = [
    { method: 'PATCH', url: base, payload: { name: 'a\u0000' } },
    { method: 'POST', url: `${base}/api-keys`, payload: { name: 'a\u0000', kind: 'write' } },
    { method: 'GET', url: `${base}/api-keys?cursor=%00` },
  ] as const
  for (const request of refused) {
    const answer = await app.inject(authorized(alpha.apiKey, request))
    t.equal(answer.statusCode, 400, `${request.method} ${request.url}`)
    t.match(answer.json().errors?.[0]?.path, /name|cursor/)
  }
})
