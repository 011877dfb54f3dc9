import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { sql } from 'drizzle-orm'
import type { FastifyInstance, InjectOptions } from 'fastify'
import t from 'tap'
import { buildApp } from '../../src/app.ts'
import { newId } from '../../src/ids.ts'
import { newAddress } from '../helpers/accounts.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { addMember, sessionOf, viewerOf } from '../helpers/principals.ts'
import { createTenant, createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const LIMIT_MS = 5000
const REASON = 'Unpaid since December.'
const LIST = '/v1/admin/organizations'

const { app, config, environment } = await startTestApp(t)
const [alpha, beta] = await createTwoTenants(app)
/** Somebody with an account and an organization that no test is about. */
const outsider = await createTenant(app.postgres)
/** A second process; nobody tells it of facts that its own relay would have to carry. */
const second = await buildApp({ ...config, roles: ['api'] }, false)
await second.ready()
t.teardown(() => second.close())

const as = (userId: string, request: InjectOptions, on: FastifyInstance = app) =>
  on.inject(authorized(sessionOf(app, userId), { remoteAddress: newAddress(), ...request }))
const script = (...args: string[]) =>
  promisify(execFile)(process.execPath, ['scripts/operator.ts', ...args], { env: { ...process.env, ...environment } })
const freeze = (userId: string, { organizationId }: { organizationId: string }, reason: unknown = REASON) =>
  as(userId, { method: 'POST', url: `${LIST}/${organizationId}/freeze`, payload: { reason } })
const unfreeze = (userId: string, { organizationId }: { organizationId: string }) =>
  as(userId, { method: 'POST', url: `${LIST}/${organizationId}/unfreeze` })
const sendEvent = (on: FastifyInstance, { writeKey }: TestTenant) =>
  on.inject(authorized(writeKey, { method: 'POST', url: '/v1/events', payload: { event: 'Sent' } }))
const askWithKey = (on: FastifyInstance, { apiKey, projectId }: TestTenant) =>
  on.inject(authorized(apiKey, { url: `/v1/projects/${projectId}/schema/events` }))

const operatorId = await addMember(app, outsider, 'viewer')
const operatorEmail = `${operatorId}@example.com`

t.test(
  'only the script makes an operator, with a reason, and takes it away with the next request in every process',
  async (t) => {
    const statuses = async () =>
      Promise.all([app, second].map(async (on) => (await as(operatorId, { url: LIST }, on)).statusCode))
    t.same(await statuses(), [404, 404])
    for (const args of [
      [operatorEmail, '--grant'],
      [operatorEmail, '--reason', 'x'],
      [operatorEmail, '--grant', '--revoke', '--reason', 'x'],
      ['--grant', '--reason', 'x'],
    ])
      await t.rejects(script(...args), { code: 2 }, args.join(' '))
    await t.rejects(script('nobody@example.com', '--grant', '--reason', 'x'), { code: 1 })
    t.same(await statuses(), [404, 404])
    t.match((await script(operatorEmail.toUpperCase(), '--grant', '--reason', 'on call')).stdout, operatorId)
    t.same(await statuses(), [200, 200])
    await script(operatorEmail, '--revoke', '--reason', 'left')
    t.same(await statuses(), [404, 404])
    const { rows } = await app.postgres.withSystem((tx) =>
      tx.execute(sql`select operator_reason from users where id = ${operatorId}`),
    )
    t.match(rows, [{ operator_reason: 'left' }])
    await script(operatorEmail, '--grant', '--reason', 'on call')
  },
)

t.test('to everybody else the routes look like any that do not exist', async (t) => {
  const credentials = {
    nobody: undefined,
    garbage: 'garbage',
    owner: sessionOf(app, alpha.userId),
    'write key': alpha.writeKey,
    'API key': alpha.apiKey,
    'start page': viewerOf(app, alpha.projectId),
    "the operator's ended session": sessionOf(app, operatorId, newId('ses')),
  }
  const paths = [LIST, `${LIST}/${alpha.organizationId}`, `${LIST}/${alpha.organizationId}/freeze`, `${LIST}?limit=x`]
  for (const [who, credential] of Object.entries(credentials)) {
    for (const path of paths) {
      const method = path.endsWith('/freeze') ? 'POST' : 'GET'
      const look = async (url: string) => {
        const request = { method, url, ...(method === 'POST' ? { payload: {} } : {}) } as const
        const answer = await app.inject(credential ? authorized(credential, request) : request)
        const { instance: _instance, detail, ...body } = answer.json()
        return {
          status: answer.statusCode,
          type: answer.headers['content-type'],
          body,
          detail: detail.replace(/admin|absent/, ''),
        }
      }
      const seen = await look(path)
      t.equal(seen.status, 404)
      t.same(seen, await look(path.replace('admin', 'absent')), `${path} as ${who}`)
    }
  }
})

t.test('an operator finds every organization, page by page and by its name, with its size', async (t) => {
  const { organizationId } = alpha
  await app.postgres.withSystem(async (tx) => {
    await tx.execute(sql`update organizations set name = 'Acme 100%' where id = ${organizationId}`)
    await tx.execute(sql`insert into usage_windows (organization_id, project_id, window_start, events, revision)
      values (${organizationId}, ${alpha.projectId}, date_trunc('month', now(), 'UTC'), 40, 1),
        (${organizationId}, 'prj_gone', date_trunc('month', now(), 'UTC'), 2, 1),
        (${organizationId}, ${alpha.projectId}, date_trunc('month', now(), 'UTC') - interval '1 hour', 1000, 1)`)
  })
  await addMember(app, alpha, 'viewer')
  const found = (await as(operatorId, { url: LIST, query: { name: 'acme 100%' } })).json()
  t.match(found, { data: [{ id: organizationId, members: 2, projects: 1, eventsThisMonth: 42, frozen: null }] })
  t.equal(found.data.length, 1)
  t.same((await as(operatorId, { url: LIST, query: { name: '%' } })).json().data.length, 1, 'no pattern')
  const whole = (await as(operatorId, { url: LIST })).json()
  t.equal(whole.data.length, 3)
  const first = (await as(operatorId, { url: `${LIST}?limit=2` })).json()
  const rest = (await as(operatorId, { url: `${LIST}?limit=2&cursor=${first.nextCursor}` })).json()
  t.same([...first.data, ...rest.data], whole.data)
  t.same((await as(operatorId, { url: `${LIST}/${organizationId}` })).json(), found.data[0])
  t.equal((await as(operatorId, { url: `${LIST}/${newId('org')}` })).json().code, 'admin.organization_not_found')
  t.equal((await freeze(operatorId, { organizationId: newId('org') })).json().code, 'admin.organization_not_found')
  t.equal((await freeze(operatorId, alpha, '')).statusCode, 400)
})

t.test(
  'a frozen organization is refused by key and by person in every process within five seconds; others go on',
  async (t) => {
    for (const on of [app, second]) {
      t.equal((await sendEvent(on, alpha)).statusCode, 202, 'the key acts, and the process remembers it')
      t.equal((await askWithKey(on, alpha)).statusCode, 200)
      t.equal((await sendEvent(on, beta)).statusCode, 202)
    }
    const startedAt = performance.now()
    t.match((await freeze(operatorId, alpha)).json(), { frozen: { reason: REASON } })
    for (const [name, on] of Object.entries({ first: app, second })) {
      const refused = await eventually('the refusal', async () => {
        const answer = await sendEvent(on, alpha)
        return answer.statusCode === 403 && answer
      })
      const elapsedMs = performance.now() - startedAt
      t.ok(elapsedMs < LIMIT_MS, `${name} process: ${Math.round(elapsedMs)} ms`)
      t.match(refused.json(), { code: 'organization.frozen', detail: new RegExp(REASON) })
      await eventually('the refusal of the API key', async () => (await askWithKey(on, alpha)).statusCode === 403)
      t.ok(performance.now() - startedAt < LIMIT_MS)
      const person = await as(alpha.userId, { url: `/v1/projects/${alpha.projectId}` }, on)
      t.match(person.json(), { code: 'organization.frozen', detail: new RegExp(REASON) })
      const viewer = on.inject(
        authorized(viewerOf(app, alpha.projectId), { url: `/v1/projects/${alpha.projectId}/events` }),
      )
      t.equal((await viewer).json().code, 'organization.frozen')
      t.equal((await sendEvent(on, beta)).statusCode, 202, 'others go on')
      t.equal((await as(beta.userId, { url: `/v1/projects/${beta.projectId}` }, on)).statusCode, 200)
    }
    t.equal((await freeze(operatorId, alpha)).statusCode, 409)
  },
)

t.test('members of a frozen organization read what concerns them, change nothing, and may leave', async (t) => {
  const [organization, project] = [`/v1/organizations/${alpha.organizationId}`, `/v1/projects/${alpha.projectId}`]
  const day = '?from=2026-01-01&to=2026-01-02'
  const open = [
    organization,
    `${organization}/members`,
    `${project}/audit-log`,
    `${project}/usage${day}`,
    `${project}/ingestion`,
  ]
  for (const url of open) t.equal((await as(alpha.userId, { url })).statusCode, 200, url)
  t.match((await as(alpha.userId, { url: organization })).json(), { frozen: { reason: REASON } })
  const shut: InjectOptions[] = [
    { url: project },
    { url: `${project}/events` },
    { url: `${organization}/roles` },
    { method: 'PATCH', url: organization, payload: { name: 'x' } },
    { method: 'POST', url: `${project}/api-keys`, payload: { name: 'a', kind: 'write' } },
  ]
  for (const request of shut)
    t.equal((await as(alpha.userId, request)).json().code, 'organization.frozen', String(request.url))
  t.equal((await as(beta.userId, { url: organization })).statusCode, 404, 'others do not learn of it')
  const leaving = await addMember(app, alpha, 'viewer')
  t.equal((await as(leaving, { method: 'POST', url: `${organization}/leave` })).statusCode, 204)
})

t.test('what the operator did is in the log of the organization, and it goes on again everywhere', async (t) => {
  const startedAt = performance.now()
  t.match((await unfreeze(operatorId, alpha)).json(), { frozen: null })
  for (const on of [app, second]) {
    await eventually('that it goes on', async () => (await sendEvent(on, alpha)).statusCode === 202)
    t.equal((await as(alpha.userId, { url: `/v1/projects/${alpha.projectId}` }, on)).statusCode, 200)
  }
  t.ok(performance.now() - startedAt < LIMIT_MS)
  const { rows } = await app.postgres.withTenant(alpha.organizationId, (tx) =>
    tx.execute(sql`select actor_kind, actor_id, actor_name, action, target_id, before, after from audit_entries
      where action like 'organization.%' order by sequence`),
  )
  const actor = { actor_kind: 'operator', actor_id: operatorId, actor_name: null, target_id: alpha.organizationId }
  t.match(rows, [
    { ...actor, action: 'organization.frozen', after: { reason: REASON } },
    { ...actor, action: 'organization.unfrozen', before: { reason: REASON } },
  ])
  t.equal(rows.length, 2)
  t.equal((await unfreeze(operatorId, alpha)).statusCode, 409)
})

t.test('a new role and a sign-out act in a second process within five seconds', async (t) => {
  const userId = await addMember(app, alpha, 'developer')
  const rename = () =>
    as(userId, { method: 'PATCH', url: `/v1/projects/${alpha.projectId}`, payload: { name: 'Renamed' } }, second)
  const measure = async (what: string, act: () => Promise<{ statusCode: number }>, status: number) => {
    const startedAt = performance.now()
    t.ok((await act()).statusCode < 300)
    await eventually(what, async () => (await rename()).statusCode === status)
    const elapsedMs = performance.now() - startedAt
    t.ok(elapsedMs < LIMIT_MS, `${what}: ${Math.round(elapsedMs)} ms`)
  }
  t.equal((await rename()).statusCode, 200, 'the second process knows the session')
  const url = `/v1/organizations/${alpha.organizationId}/members/${userId}`
  await measure('a lesser role', () => as(alpha.userId, { method: 'PATCH', url, payload: { role: 'viewer' } }), 403)
  await measure('a sign-out', () => as(userId, { method: 'POST', url: '/v1/auth/logout' }), 401)
})
