import { Writable } from 'node:stream'
import t, { type Test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { loggerOptions } from '../../src/http/request-log.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { type JsonSchema, operationsOf } from '../helpers/openapi-operations.ts'
import { startTestServices } from '../helpers/services.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const

/** Not a problem: a load balancer reads the checks. */
const OTHER_BODIES = new Set(['get /health/ready 503'])

interface Operation {
  summary?: string
  description?: string
  operationId?: string
  tags?: string[]
  responses: Record<string, { description?: string; content?: Record<string, unknown> }>
}

async function startLogged(t: Test) {
  const lines: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(...String(chunk).trimEnd().split('\n'))
      done()
    },
  })
  const { config } = await startTestServices(t, { METERHOUSE_LOG_LEVEL: 'trace' })
  const app = await buildApp(config, { ...loggerOptions(config.log, false), stream })
  t.teardown(() => app.close())
  await app.ready()
  return { app, lines }
}

t.test('every request leaves one JSON line, events that were taken excepted, and no secret of it', async (t) => {
  const { app, lines } = await startLogged(t)
  const [alpha] = await createTwoTenants(app)
  const secrets = [alpha.apiKey, alpha.writeKey, alpha.password, 'canary-cookie', 'canary-query', 'canary-body']
  const requests = [
    authorized(alpha.writeKey, {
      method: 'POST',
      url: '/v1/events',
      payload: { event: 'x', properties: { secret: 'canary-body' } },
    }),
    authorized(alpha.writeKey, { method: 'POST', url: '/v1/events', payload: { event: '', userId: 'canary-body' } }),
    authorized(alpha.apiKey, { method: 'GET', url: `/v1/projects/${alpha.projectId}/events?userId=canary-query` }),
    authorized(`${alpha.apiKey}x`, { method: 'GET', url: '/v1/me' }),
    { method: 'POST', url: '/v1/auth/login', payload: { email: alpha.email, password: alpha.password } },
    {
      method: 'POST',
      url: '/v1/auth/login',
      payload: { email: alpha.email, password: 'canary-body', extra: 'canary-body' },
    },
    {
      method: 'GET',
      url: '/nowhere?token=canary-query',
      headers: { cookie: 'session=canary-cookie', 'user-agent': 'evil\r\n{"level":"fatal"}' },
    },
  ] as const
  for (const request of requests) await app.inject(request)
  const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  const logged = parsed.filter((line) => line.msg === 'request')
  t.equal(logged.length, requests.length - 1, 'what was taken is counted and not logged')
  t.match(logged[0], {
    level: 'info',
    requestId: String,
    method: 'POST',
    path: '/v1/events',
    status: 422,
    durationMs: Number,
    organizationId: alpha.organizationId,
  })
  for (const secret of secrets)
    t.notOk(
      lines.some((line) => line.includes(secret)),
      secret,
    )
})

t.test('a well-formed request id is taken from the caller and any other replaced', async (t) => {
  const { app } = await startTestApp(t)
  const idOf = async (id: string) =>
    (await app.inject({ url: '/health/live', headers: { 'x-request-id': id } })).headers['x-request-id']
  t.equal(await idOf('trace-0123456789'), 'trace-0123456789')
  for (const bad of ['short', 'with space in it', 'x'.repeat(129), '"quoted-123456"']) t.not(await idOf(bad), bad)
})

t.test('an unknown route, a wrong method and a body of the wrong type are problems', async (t) => {
  const { app } = await startTestApp(t)
  for (const [request, status, code] of [
    [{ method: 'GET', url: '/v1/nothing' }, 404, 'resource.not_found'],
    [{ method: 'PUT', url: '/v1/auth/login', payload: {} }, 404, 'resource.not_found'],
    [
      { method: 'POST', url: '/v1/auth/login', payload: 'a=b', headers: { 'content-type': 'text/plain' } },
      415,
      'request.unsupported_media_type',
    ],
    [
      { method: 'POST', url: '/v1/auth/login', payload: '{', headers: { 'content-type': 'application/json' } },
      400,
      'request.invalid',
    ],
    [
      {
        method: 'POST',
        url: '/v1/auth/login',
        payload: '{"__proto__":{}}',
        headers: { 'content-type': 'application/json' },
      },
      400,
      'request.invalid',
    ],
    [
      { method: 'POST', url: '/v1/auth/login', payload: { email: 'x', password: 'y', role: 'owner' } },
      400,
      'request.invalid',
    ],
  ] as const) {
    const answer = await app.inject(request)
    t.equal(answer.statusCode, status, answer.body)
    t.match(answer.headers['content-type'], /^application\/problem\+json/)
    t.match(answer.json(), { code, status, instance: answer.headers['x-request-id'] })
  }
})

t.test('validation lists every faulty field by its pointer', async (t) => {
  const { app } = await startTestApp(t)
  const answer = await app.inject({ method: 'POST', url: '/v1/auth/login', payload: { email: 'nobody', extra: 1 } })
  t.same(
    answer
      .json()
      .errors.map((error: { path: string }) => error.path)
      .sort(),
    ['/email', '/extra', '/password'],
  )
})

t.test('a credential over its limit gets 429 with the draft fields, and another does not', async (t) => {
  const { app } = await startTestApp(t, { METERHOUSE_API_REQUESTS_PER_MINUTE: '3' })
  const [alpha, beta] = await createTwoTenants(app)
  const ask = (key: string) => app.inject(authorized(key, { method: 'GET', url: '/v1/me' }))
  const answers = [await ask(alpha.apiKey), await ask(alpha.apiKey), await ask(alpha.apiKey), await ask(alpha.apiKey)]
  t.same(
    answers.map((answer) => answer.statusCode),
    [403, 403, 403, 429],
  )
  t.equal(answers[0]?.headers['ratelimit-policy'], '"requests";q=3;w=60')
  t.match(answers[0]?.headers.ratelimit, /^"requests";r=2;t=\d+$/)
  t.ok(Number(answers[3]?.headers['retry-after']) > 0)
  t.equal(answers[3]?.json().code, 'request.rate_limited')
  t.equal((await ask(beta.apiKey)).statusCode, 403)
})

t.test('metrics are for loopback, or for whoever has the token', async (t) => {
  const { app } = await startTestApp(t)
  t.equal((await app.inject({ url: '/metrics' })).statusCode, 200)
  t.equal((await app.inject({ url: '/metrics', remoteAddress: '203.0.113.9' })).statusCode, 404)
  const { app: guarded } = await startTestApp(t, { METERHOUSE_METRICS_TOKEN: 'metrics-token-0123' })
  t.equal((await guarded.inject({ url: '/metrics' })).statusCode, 404)
  const answer = await guarded.inject(authorized('metrics-token-0123', { method: 'GET', url: '/metrics' }))
  t.match(answer.body, /meterhouse_http_request_duration_seconds/)
})

t.test('readiness names the service that is away', async (t) => {
  const { app, redis } = await startTestApp(t)
  t.match((await app.inject({ url: '/health/ready' })).json(), {
    status: 'ready',
    checks: { postgres: 'ok', clickhouse: 'ok', redis: 'ok', ingestRedis: 'ok' },
  })
  await redis.stop()
  const answer = await app.inject({ url: '/health/ready' })
  t.equal(answer.statusCode, 503)
  t.match(answer.json(), { status: 'not_ready', checks: { postgres: 'ok', clickhouse: 'ok', redis: 'failed' } })
})

t.test(
  'every operation of the document has a summary, a description, a name, a tag and described answers',
  async (t) => {
    const { app } = await startTestApp(t)
    const document = (await app.inject({ url: '/openapi.json' })).json()
    t.match(document.openapi, /^3\.1/)
    const operations = Object.entries<Record<string, Operation>>(document.paths).flatMap(([path, item]) =>
      METHODS.flatMap((method) => (item[method] ? [{ name: `${method} ${path}`, operation: item[method] }] : [])),
    )
    t.ok(operations.length > 10)
    const tags = document.tags.map((tag: { name: string }) => tag.name)
    for (const { name, operation } of operations) {
      t.ok(operation.summary && operation.description && operation.operationId, name)
      t.ok(operation.tags?.length === 1 && tags.includes(operation.tags[0]), `${name} has a tag of the list`)
      for (const [status, response] of Object.entries(operation.responses)) {
        if (status.startsWith('2') && response.content)
          t.match(JSON.stringify(response), /"examples?":/, `${name} ${status} has an example`)
        t.ok(response.description && response.description !== 'Default Response', `${name} ${status} is described`)
        if (Number(status) >= 400 && !OTHER_BODIES.has(`${name} ${status}`))
          t.ok(response.content?.['application/problem+json'], `${name} ${status} is a problem`)
      }
    }
    const ids = operations.map(({ operation }) => operation.operationId)
    t.equal(new Set(ids).size, ids.length, 'operation ids are unique')
  },
)

t.test(
  'every integer that a route takes has both its bounds, so that none is too large for where it goes',
  async (t) => {
    const { app } = await startTestApp(t)
    const taken = (await operationsOf(app)).flatMap(({ id, parameters, body }) => [
      ...parameters.flatMap(({ name, schema }) => integersIn(schema, `${id} ${name}`)),
      ...(body ? integersIn(body, `${id} body`) : []),
    ])
    t.ok(taken.length > 20)
    const isBound = ({ schema }: (typeof taken)[number]) => schema.minimum !== undefined && schema.maximum !== undefined
    t.same(
      taken.filter((one) => !isBound(one)).map(({ place }) => place),
      [],
    )
  },
)

function integersIn(schema: JsonSchema, place: string): { place: string; schema: JsonSchema }[] {
  const parts = [
    ...Object.entries(schema.properties ?? {}),
    ...(schema.items ? [['[]', schema.items] as const] : []),
    ...[...(schema.anyOf ?? []), ...(schema.allOf ?? [])].map((one) => ['', one] as const),
  ]
  const own = schema.type === 'integer' ? [{ place, schema }] : []
  return [...own, ...parts.flatMap(([name, part]) => integersIn(part, `${place}/${name}`))]
}

t.test('the start page carries a token for the demo project to a local browser only', async (t) => {
  const { app: first } = await startTestApp(t)
  t.notMatch((await first.inject({ url: '/' })).body, /eyJ/, 'without a demo project there is none')
  const { app } = await startTestApp(t, {
    METERHOUSE_DEMO_PROJECT_ID: `prj_${'0'.repeat(26)}`,
    METERHOUSE_MAIL_INBOX_URL: 'http://127.0.0.1:1080/',
  })
  t.match(
    (await app.inject({ url: '/', headers: { host: 'localhost:3000' } })).body,
    /content="eyJ[\s\S]*href="http:\/\/127\.0\.0\.1:1080\/"/,
  )
  t.notMatch((await app.inject({ url: '/', headers: { host: 'evil.example' } })).body, /eyJ/)
})

t.test('whatever a browser might show comes with the headers of a page, an absent one too', async (t) => {
  const { app } = await startTestApp(t)
  for (const url of ['/', '/docs', '/health/live', '/nowhere', '/v1/me']) {
    const { headers } = await app.inject({ url })
    t.match(headers, { 'content-security-policy': /frame-ancestors 'none'/, 'x-content-type-options': 'nosniff' }, url)
  }
  const events = await app.inject({ method: 'POST', url: '/v1/events', payload: {} })
  t.equal(events.headers['content-security-policy'], undefined, 'programs alone read the answers of ingestion')
})
