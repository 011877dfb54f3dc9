import pg from 'pg'
import t from 'tap'
import { createOperatorsService } from '../../src/domains/identity/operators/service.ts'
import { newId } from '../../src/ids.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { type Operation, operationsOf, sampleOf } from '../helpers/openapi-operations.ts'
import { addMember, sessionOf } from '../helpers/principals.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

/** What a caller would like to say about a row, and what only the server says. */
const EXTRA = {
  organizationId: newId('org'),
  tenantId: newId('org'),
  plan: 'enterprise',
  quota: 1_000_000,
  isAdmin: true,
  isOperator: true,
  emailVerified: true,
  createdAt: '2020-01-01T00:00:00.000Z',
  id: newId('usr'),
  role: 'owner',
}

// Without the jobs, which write rows by themselves.
const services = await startTestApp(t, { METERHOUSE_ROLES: 'api,sink' })
const { app } = services
const [alpha] = await createTwoTenants(app)
const member = await addMember(app, alpha, 'viewer')
const admin = new pg.Client({ connectionString: services.postgresAdminUrl })
await admin.connect()
t.teardown(() => admin.end())

// One person who may do everything, so that what refuses a request is the field and nothing before it.
await createOperatorsService(app).change(alpha.email, true, 'test')
const role = await app.inject(
  authorized(sessionOf(app, alpha.userId), {
    method: 'POST',
    url: `/v1/organizations/${alpha.organizationId}/roles`,
    payload: { name: 'Reader', permissions: ['projects:read'] },
  }),
)

const PATH: Record<string, string> = {
  projectId: alpha.projectId,
  organizationId: alpha.organizationId,
  userId: member,
  keyId: alpha.writeKeyId,
  roleId: role.json().id,
  planKey: 'free',
  meterKey: 'seats',
  invoiceId: newId('inv'),
  eventName: 'Order',
  version: '1',
}
const operations = await operationsOf(app)
const writes = operations.filter(({ method, body }) => method !== 'GET' && body)
/** The routes of events: these and the addresses of other products' SDKs take what a key sends. */
const isIngestion = ({ path, isPublic }: Operation) => !path.includes('{') && !path.startsWith('/v1/auth') && !isPublic
const KEEPS_PEOPLE = ['/v1/me/password', '/v1/organizations']
const strict = writes.filter(
  (operation) =>
    !operation.path.startsWith('/flags') && (!isIngestion(operation) || KEEPS_PEOPLE.includes(operation.path)),
)

let addresses = 0
function send({ method, path, body }: Operation, extra: Record<string, unknown>) {
  const url = path.replace(/\{(\w+)\}/g, (_, name: string) => PATH[name] ?? '')
  const payload = { ...(sampleOf(body ?? {}) as object), ...extra }
  const remoteAddress = `198.18.7.${addresses++ % 250}`
  return app.inject(authorized(sessionOf(app, alpha.userId), { method: method as 'POST', url, payload, remoteAddress }))
}

/** Every row that an answer could have changed, as text; what the guard itself counts is not among them. */
async function rows(): Promise<string> {
  const { rows: tables } = await admin.query(
    "select tablename from pg_tables where schemaname = 'public' and tablename <> 'sessions' order by 1",
  )
  const texts: string[] = []
  for (const { tablename } of tables) {
    const { rows } = await admin.query(`select t::text as row from "${tablename}" t order by 1`)
    texts.push(tablename, ...rows.map(({ row }) => row))
  }
  return texts.join('\n')
}

t.test('D2: a field that a route does not know is refused by its name, and no row changes', async (t) => {
  t.ok(strict.length >= 15, `${strict.length} routes`)
  const before = await rows()
  let probes = 0
  for (const operation of strict) {
    const names = Object.keys(EXTRA) as (keyof typeof EXTRA)[]
    for (const name of names.filter((name) => !(name in (operation.body?.properties ?? {})))) {
      const answer = await send(operation, { [name]: EXTRA[name] })
      probes++
      const what = `${operation.method} ${operation.path} with ${name}`
      t.equal(answer.statusCode, 400, what)
      const paths = (answer.json().errors ?? []).map(({ path }: { path: string }) => path)
      t.ok(paths.includes(`/${name}`), `${what}: ${answer.body.slice(0, 300)}`)
    }
  }
  t.comment(`${probes} probes of ${strict.length} routes`)
  t.equal(await rows(), before)
})

t.test(
  'D2: an extra field beside an event is refused by its name, and in its properties it is data only',
  async (t) => {
    const before = await rows()
    const post = (payload: object) =>
      app.inject(authorized(alpha.writeKey, { method: 'POST', url: '/v1/events', payload }))
    for (const [name, value] of Object.entries(EXTRA)) {
      const answer = await post({ event: 'Extra', [name]: value })
      t.equal(answer.statusCode, 422, `${name}: ${answer.body}`)
      t.match(answer.body, `/${name}`)
    }
    t.equal((await post({ event: 'Extra', messageId: 'inert', properties: EXTRA, traits: EXTRA })).json().accepted, 1)
    const receipt = await app.inject(authorized(alpha.apiKey, { url: '/v1/events/inert/receipt' }))
    t.equal(receipt.statusCode, 200, 'the event is in the project of its key')
    t.equal(await rows(), before)
  },
)

t.test('a character that cannot be stored is refused by its field, and nowhere a fault of ours', async (t) => {
  let probes = 0
  // Whatever comes after a freeze would be refused for that.
  for (const operation of strict.filter(({ path }) => !path.endsWith('/freeze'))) {
    const sample = sampleOf(operation.body ?? {}) as Record<string, unknown>
    const texts = Object.entries(operation.body?.properties ?? {}).filter(([, { type }]) => type === 'string')
    for (const [name] of texts)
      for (const character of ['\0', '\ud800']) {
        const answer = await send(operation, { [name]: `${String(sample[name] ?? 'text')}${character}` })
        probes++
        t.ok(
          answer.statusCode < 500,
          `${operation.method} ${operation.path} with ${JSON.stringify(character)} in ${name}`,
        )
      }
  }
  t.ok(probes > 50, `${probes} probes`)
  const organization = `/v1/organizations/${alpha.organizationId}`
  const plan = `/v1/projects/${alpha.projectId}/tracking-plan`
  const refused: [string, string, string, object?][] = [
    ['/code', 'POST', `${organization}/billing/coupons`, { code: 'a\0bc' }],
    ['/comment', 'PATCH', plan, { mode: 'warn', comment: 'half \ud800' }],
    ['/params/eventName', 'DELETE', `${plan}/events/a%00b`],
    ['/querystring/comment', 'DELETE', `${plan}/events/Order?comment=%00`],
  ]
  for (const [path, method, url, payload] of refused) {
    const request = { method: method as 'POST', url, ...(payload && { payload }) }
    const answer = await app.inject(authorized(sessionOf(app, alpha.userId), request))
    t.equal(answer.statusCode, 400, `${path}: ${answer.body}`)
    t.strictSame(
      answer.json().errors.map((error: { path: string }) => error.path),
      [path],
    )
  }
})
