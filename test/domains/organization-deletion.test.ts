import { sql } from 'drizzle-orm'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import { eraseEvents } from '../../src/domains/events/index.ts'
import { sweepOrganizations } from '../../src/domains/organizations/sweep/service.ts'
import { newId } from '../../src/ids.ts'
import { newAddress } from '../helpers/accounts.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { addMember, sessionOf } from '../helpers/principals.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)
const DAY_MS = 86_400_000

/** A request of a person. */
const as = (userId: string, request: InjectOptions) =>
  app.inject(authorized(sessionOf(app, userId), { remoteAddress: newAddress(), ...request }))
const urlOf = ({ organizationId }: TestTenant, rest = '') => `/v1/organizations/${organizationId}${rest}`
const erase = (userId: string, tenant: TestTenant, name = 'Test') =>
  as(userId, { method: 'DELETE', url: urlOf(tenant), payload: { name } })
const restore = (userId: string, tenant: TestTenant) => as(userId, { method: 'POST', url: urlOf(tenant, '/restore') })
const transfer = (asker: string, tenant: TestTenant, userId: string) =>
  as(asker, { method: 'POST', url: urlOf(tenant, '/transfer'), payload: { userId } })
const capture = (tenant: TestTenant) =>
  app.inject(authorized(tenant.writeKey, { method: 'POST', url: '/v1/events', payload: { event: 'Opened' } }))
const system = (statement: ReturnType<typeof sql>) => app.postgres.withSystem((tx) => tx.execute(statement))
const setDeletesAt = ({ organizationId }: TestTenant, left: string) =>
  system(sql`update organizations set deletes_at = now() + ${left}::interval where id = ${organizationId}`)
const actionsOf = async (tenant: TestTenant) =>
  (await as(tenant.userId, { url: urlOf(tenant, '/audit-log') }))
    .json()
    .data.map(({ action }: { action: string }) => action)
const sweep = (eraser = (id: string) => eraseEvents(app.clickhouse, id)) =>
  sweepOrganizations({ postgres: app.postgres, eraseEvents: eraser })

/** How many rows each table that can hold one has of an organization. */
async function rowsOf({ organizationId }: TestTenant): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const table of ['memberships', 'projects', 'api_keys', 'audit_entries', 'invitations']) {
    const { rows } = await system(
      sql`select count(*)::int as count from ${sql.identifier(table)} where organization_id = ${organizationId}`,
    )
    counts[table] = Number(rows[0]?.count)
  }
  for (const table of ['events', 'quarantined_events']) {
    const result = await app.clickhouse.client.query({
      query: `SELECT count() AS count FROM ${table} WHERE organization_id = {organizationId:String}`,
      query_params: { organizationId },
      format: 'JSONEachRow',
    })
    counts[table] = Number((await result.json<{ count: string }>())[0]?.count)
  }
  return counts
}

t.test('an owner hands the organization over in one step and is an admin then', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const [admin, heir] = [await addMember(app, alpha, 'admin'), await addMember(app, alpha, 'viewer')]
  t.equal((await transfer(admin, alpha, heir)).statusCode, 403)
  t.equal((await transfer(alpha.userId, alpha, beta.userId)).json().code, 'organizations.member_not_found')
  t.match((await transfer(alpha.userId, alpha, alpha.userId)).json(), { status: 400, errors: [{ path: '/userId' }] })
  const offered = { email: `${newId('usr')}@example.org`, role: 'owner' }
  await as(alpha.userId, { method: 'POST', url: urlOf(alpha, '/invitations'), payload: offered })
  t.match((await transfer(alpha.userId, alpha, heir)).json(), { userId: heir, role: 'owner' })
  t.equal((await as(heir, { url: urlOf(alpha) })).json().role, 'owner')
  t.equal((await as(alpha.userId, { url: urlOf(alpha) })).json().role, 'admin')
  t.same((await as(heir, { url: urlOf(alpha, '/invitations') })).json().data, [], 'what an owner alone could offer')
  t.equal((await transfer(alpha.userId, alpha, admin)).statusCode, 403)
  t.equal((await as(beta.userId, { url: urlOf(beta) })).json().role, 'owner')
})

t.test('of 50 hand-overs at once one happens, and there is one owner', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const heirs = [await addMember(app, alpha, 'viewer'), await addMember(app, alpha, 'viewer')]
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, index) => transfer(alpha.userId, alpha, heirs[index % 2] ?? '')),
  )
  t.same(answers.map(({ statusCode }) => statusCode).sort(), [200, ...Array(49).fill(403)])
  const owners = sql`select 1 from memberships where role = 'owner' and organization_id = ${alpha.organizationId}`
  t.equal((await system(owners)).rows.length, 1)
})

t.test(
  'everything that is done to an organization and its members is in its audit log, and nowhere else',
  async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    const [admin, other] = [await addMember(app, alpha, 'admin'), await addMember(app, alpha, 'viewer')]
    const made = await as(alpha.userId, { method: 'POST', url: '/v1/organizations', payload: { name: 'New' } })
    const first = (await as(alpha.userId, { url: `/v1/organizations/${made.json().id}/audit-log` })).json().data
    t.match(first, [{ action: 'organization.made', actor: { id: alpha.userId }, after: { name: 'New' } }])
    await as(admin, { method: 'PATCH', url: urlOf(alpha), payload: { name: 'Renamed' } })
    await as(admin, { method: 'PATCH', url: urlOf(alpha, `/members/${other}`), payload: { role: 'analyst' } })
    await as(admin, { method: 'DELETE', url: urlOf(alpha, `/members/${other}`) })
    const payload = { email: beta.email, role: 'viewer' }
    const { id } = (await as(admin, { method: 'POST', url: urlOf(alpha, '/invitations'), payload })).json()
    await as(admin, { method: 'DELETE', url: urlOf(alpha, `/invitations/${id}`) })
    await erase(alpha.userId, alpha, 'Renamed')
    await restore(alpha.userId, alpha)
    await as(admin, { method: 'POST', url: urlOf(alpha, '/leave') })
    t.same((await actionsOf(alpha)).reverse(), [
      'organization.renamed',
      'member.role_changed',
      'member.removed',
      'member.invited',
      'invitation.revoked',
      'organization.deletion_asked',
      'organization.deletion_cancelled',
      'member.left',
    ])
    t.same(await actionsOf(beta), [])
    const csv = await as(alpha.userId, { url: urlOf(alpha, '/audit-log/export?action=member.left') })
    t.match(csv.headers['content-type'], /^text\/csv/)
    t.equal(csv.body.trimEnd().split('\r\n').length, 2, csv.body)
  },
)

t.test(
  'only an owner who names it deletes an organization; its keys stop, its members read, and it can be undone',
  async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    const [admin, viewer] = [await addMember(app, alpha, 'admin'), await addMember(app, alpha, 'viewer')]
    t.equal((await capture(alpha)).statusCode, 202)
    t.equal((await erase(admin, alpha)).statusCode, 403)
    t.match((await erase(alpha.userId, alpha, 'test')).json(), { status: 400, errors: [{ path: '/name' }] })
    t.equal((await restore(alpha.userId, alpha)).json().code, 'organizations.not_being_deleted')
    const asked = await erase(alpha.userId, alpha)
    t.equal(asked.statusCode, 202, asked.body)
    const startedAt = performance.now()
    t.ok(Math.abs(Date.parse(asked.json().deletesAt) - Date.now() - 30 * DAY_MS) < 60_000)
    await eventually('the refusal', async () => (await capture(alpha)).statusCode === 401)
    t.ok(performance.now() - startedAt < 5000, 'within five seconds')
    t.equal((await app.inject(authorized(alpha.apiKey, { url: `/v1/projects/${alpha.projectId}` }))).statusCode, 401)
    t.equal((await as(viewer, { url: `/v1/projects/${alpha.projectId}` })).statusCode, 200)
    t.equal((await as(viewer, { url: urlOf(alpha) })).json().deletesAt, asked.json().deletesAt)
    t.equal((await erase(alpha.userId, alpha)).json().deletesAt, asked.json().deletesAt, 'the first time stands')
    t.equal((await capture(beta)).statusCode, 202)
    t.equal(await sweep(), 0)
    t.equal((await restore(admin, alpha)).statusCode, 403)
    t.equal((await restore(alpha.userId, alpha)).json().deletesAt, null)
    await eventually('events that are taken again', async () => (await capture(alpha)).statusCode === 202)
  },
)

t.test('after the grace all of it is deleted, events too, and nothing of anybody else', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  for (const tenant of [alpha, beta]) {
    await capture(tenant)
    const payload = { email: `${newId('usr')}@example.org`, role: 'viewer' }
    await as(tenant.userId, { method: 'POST', url: urlOf(tenant, '/invitations'), payload })
    await app.clickhouse.client.command({
      query: `INSERT INTO quarantined_events (organization_id, project_id, message_id, event, received_at, payload, reason, violations, plan_version, revision, changed_at, changed_by)
        VALUES ({organizationId:String}, {projectId:String}, 'm', 'e', now(), '{}', 'schema', '[]', 1, 1, now(), '')`,
      query_params: { organizationId: tenant.organizationId, projectId: tenant.projectId },
    })
    await eventually('the event', async () => (await rowsOf(tenant)).events === 1)
  }
  const before = await rowsOf(beta)
  t.notOk(Object.values(before).includes(0), JSON.stringify(before))
  await setDeletesAt(alpha, '-1 second')
  t.equal((await restore(alpha.userId, alpha)).statusCode, 409, 'there is no way back')
  await t.rejects(sweep(() => Promise.reject(new Error('the event store is away'))))
  t.equal((await rowsOf(alpha)).memberships, 1, 'what broke off is still there to be done')
  t.equal(
    (await Promise.all([sweep(), sweep()])).reduce((sum, count) => sum + count),
    1,
    'once, by however many',
  )
  t.same(Object.values(await rowsOf(alpha)), Object.values(before).fill(0))
  const after = await rowsOf(beta)
  t.notOk(Object.values(after).includes(0), JSON.stringify(after))
  t.equal((await as(alpha.userId, { url: urlOf(alpha) })).statusCode, 404)
  t.equal((await as(alpha.userId, { url: '/v1/me' })).statusCode, 200, 'the person stays')
  t.equal((await as(beta.userId, { url: urlOf(beta) })).statusCode, 200)
  const { rows } = await system(sql`select organization_id from outbox where kind = 'organizations.deleted'`)
  t.same(rows, [{ organization_id: alpha.organizationId }])
})
