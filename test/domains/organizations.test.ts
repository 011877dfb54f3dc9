import { sql } from 'drizzle-orm'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import { newId } from '../../src/ids.ts'
import { newAddress } from '../helpers/accounts.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { allAtOnce } from '../helpers/at-once.ts'
import { addMember, sessionOf } from '../helpers/principals.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)
const [alpha, beta] = await createTwoTenants(app)

/** A request of a person. */
const as = (userId: string, request: InjectOptions) =>
  app.inject(authorized(sessionOf(app, userId), { remoteAddress: newAddress(), ...request }))
const urlOf = ({ organizationId }: { organizationId: string }, rest = '') =>
  `/v1/organizations/${organizationId}${rest}`
const changeRole = (asker: string, tenant: TestTenant, userId: string, role: string) =>
  as(asker, { method: 'PATCH', url: urlOf(tenant, `/members/${userId}`), payload: { role } })
const remove = (asker: string, tenant: TestTenant, userId: string) =>
  as(asker, { method: 'DELETE', url: urlOf(tenant, `/members/${userId}`) })
const leave = (asker: string, tenant: TestTenant) => as(asker, { method: 'POST', url: urlOf(tenant, '/leave') })
const rolesIn = async ({ organizationId }: TestTenant) => {
  const statement = sql`select user_id, role from memberships where organization_id = ${organizationId}`
  const { rows } = await app.postgres.withSystem((tx) => tx.execute<{ user_id: string; role: string }>(statement))
  return new Map(rows.map(({ user_id, role }) => [user_id, role]))
}
const ownersIn = async (tenant: TestTenant) => [...(await rolesIn(tenant)).values()].filter((role) => role === 'owner')

t.test(
  'a person makes an organization, owns it, finds it among their own and renames it; others see nothing',
  async (t) => {
    const made = await as(alpha.userId, { method: 'POST', url: '/v1/organizations', payload: { name: 'Engines' } })
    t.equal(made.statusCode, 201, made.body)
    t.match(made.json(), { name: 'Engines', role: 'owner', id: /^org_/ })
    const url = `/v1/organizations/${made.json().id}`
    t.same((await as(alpha.userId, { url })).json(), made.json())
    t.match((await as(alpha.userId, { method: 'PATCH', url, payload: { name: 'Motors' } })).json(), { name: 'Motors' })
    const namesOf = async (userId: string) =>
      (await as(userId, { url: '/v1/organizations' })).json().data.map(({ name }: { name: string }) => name)
    t.same(await namesOf(alpha.userId), ['Test', 'Motors'])
    t.same(await namesOf(beta.userId), ['Test'])
    t.equal((await as(beta.userId, { url })).statusCode, 404)
  },
)

t.test('lists come in pages that meet', async (t) => {
  const [tenant] = await createTwoTenants(app)
  for (let count = 0; count < 4; count++) await addMember(app, tenant, 'viewer')
  const whole = (await as(tenant.userId, { url: urlOf(tenant, '/members') })).json()
  t.equal(whole.data.length, 5)
  t.equal(whole.nextCursor, null)
  t.match(whole.data[0], { userId: tenant.userId, email: tenant.email, role: 'owner' })
  const first = (await as(tenant.userId, { url: urlOf(tenant, '/members?limit=3') })).json()
  const rest = (await as(tenant.userId, { url: urlOf(tenant, `/members?limit=3&cursor=${first.nextCursor}`) })).json()
  t.same([...first.data, ...rest.data], whole.data)
  t.equal(rest.nextCursor, null)
  t.notMatch(JSON.stringify(whole), /password|argon/)
  t.equal((await as(tenant.userId, { url: urlOf(tenant, '/members?cursor=%00') })).statusCode, 400)
})

t.test('a new role counts for the next request, in the organization of the change alone', async (t) => {
  const userId = await addMember(app, alpha, 'viewer')
  const makeKey = () =>
    as(userId, {
      method: 'POST',
      url: `/v1/projects/${alpha.projectId}/api-keys`,
      payload: { name: 'a', kind: 'write' },
    })
  t.equal((await makeKey()).statusCode, 403)
  t.match((await changeRole(alpha.userId, alpha, userId, 'developer')).json(), { userId, role: 'developer' })
  t.equal((await makeKey()).statusCode, 201)
  t.equal((await changeRole(alpha.userId, alpha, userId, 'viewer')).statusCode, 200)
  t.equal((await makeKey()).statusCode, 403)
  t.equal((await changeRole(beta.userId, beta, userId, 'viewer')).json().code, 'organizations.member_not_found')
  t.equal((await remove(beta.userId, beta, userId)).json().code, 'organizations.member_not_found')
  t.equal((await rolesIn(alpha)).get(userId), 'viewer')
})

t.test('who is removed or leaves is out with the next request, and the others hear of it', async (t) => {
  for (const end of ['remove', 'leave']) {
    const userId = await addMember(app, alpha, 'analyst')
    const ended: unknown[] = []
    app.facts.on('organizations.membership_ended', ({ organizationId, payload }) =>
      ended.push({ organizationId, ...payload }),
    )
    const read = async () => (await as(userId, { url: `/v1/projects/${alpha.projectId}` })).statusCode
    t.equal(await read(), 200)
    const answer = await (end === 'remove' ? remove(alpha.userId, alpha, userId) : leave(userId, alpha))
    t.equal(answer.statusCode, 204, answer.body)
    t.equal(await read(), 404)
    t.equal((await as(userId, { url: urlOf(alpha) })).statusCode, 404)
    await eventually('the fact', async () => ended.length > 0)
    t.same(ended[0], { organizationId: alpha.organizationId, userId })
  }
})

t.test('nobody gives or takes a role above their own', async (t) => {
  const admin = await addMember(app, alpha, 'admin')
  const other = await addMember(app, alpha, 'viewer')
  for (const [target, role] of [
    [other, 'owner'],
    [admin, 'owner'],
    [alpha.userId, 'viewer'],
  ] as const) {
    const answer = await changeRole(admin, alpha, target, role)
    t.match(answer.json(), { status: 403, code: 'auth.forbidden', detail: 'The role owner is above yours.' })
  }
  t.equal((await remove(admin, alpha, alpha.userId)).statusCode, 403)
  t.equal((await changeRole(admin, alpha, other, 'admin')).statusCode, 200)
  t.equal((await rolesIn(alpha)).get(alpha.userId), 'owner')
})

t.test('the last owner stays one', async (t) => {
  for (const end of [
    changeRole(beta.userId, beta, beta.userId, 'admin'),
    remove(beta.userId, beta, beta.userId),
    leave(beta.userId, beta),
  ]) {
    t.match((await end).json(), { status: 409, code: 'organizations.last_owner' })
  }
  t.same(await ownersIn(beta), ['owner'])
})

t.test('of 50 calls at once that would each take an owner away, one owner is left over', async (t) => {
  const ends: Record<string, (tenant: TestTenant, owners: string[], index: number) => ReturnType<typeof leave>> = {
    'all leave': (tenant, owners, index) => leave(owners[index % owners.length] ?? '', tenant),
    'each demotes themselves': (tenant, owners, index) => {
      const owner = owners[index % owners.length] ?? ''
      return changeRole(owner, tenant, owner, 'viewer')
    },
    'each removes every other': (tenant, owners, index) => {
      const step = 1 + (Math.floor(index / owners.length) % (owners.length - 1))
      return remove(owners[index % owners.length] ?? '', tenant, owners[(index + step) % owners.length] ?? '')
    },
  }
  for (const [name, end] of Object.entries(ends)) {
    const [tenant] = await createTwoTenants(app)
    const owners = [tenant.userId]
    // Few, so that those who are held back are all of them.
    for (let count = 0; count < 2; count++) owners.push(await addMember(app, tenant, 'owner'))
    // Their sessions are known then, or the calls of one owner would all come before those of the next.
    for (const owner of owners) await as(owner, { url: urlOf(tenant) })
    const answers = await allAtOnce(app, ['memberships'], () =>
      Array.from({ length: 50 }, (_, index) => end(tenant, owners, index)),
    )
    t.equal((await ownersIn(tenant)).length, 1, name)
    t.same(
      answers.map(({ statusCode }) => statusCode).filter((status) => status >= 500),
      [],
      name,
    )
  }
})

t.test('a person comes from an organization of their own to events that are taken, by HTTP alone', async (t) => {
  const post = async (url: string, payload: object) => {
    const answer = await as(alpha.userId, { method: 'POST', url, payload })
    t.equal(answer.statusCode, 201, answer.body)
    return answer.json()
  }
  const organization = await post('/v1/organizations', { name: 'New' })
  const url = `/v1/organizations/${organization.id}/projects`
  const project = await post(url, { name: 'Shop', allowedOrigins: ['https://shop.example'] })
  t.match(project, { organizationId: organization.id, name: 'Shop', allowedOrigins: ['https://shop.example'] })
  const second = await post(url, { name: 'Second' })
  const first = (await as(alpha.userId, { url: `${url}?limit=1` })).json()
  t.same(first.data, [project])
  t.same((await as(alpha.userId, { url: `${url}?cursor=${first.nextCursor}` })).json(), {
    data: [second],
    nextCursor: null,
  })
  const { key } = await post(`/v1/projects/${project.id}/api-keys`, { name: 'shop', kind: 'write' })
  const sent = await app.inject(authorized(key, { method: 'POST', url: '/v1/events', payload: { event: 'Opened' } }))
  t.equal(sent.statusCode, 202, sent.body)
  t.equal((await as(beta.userId, { url: `/v1/projects/${project.id}` })).statusCode, 404)
  const bad = await as(alpha.userId, {
    method: 'POST',
    url,
    payload: { name: 'A', organizationId: beta.organizationId },
  })
  t.match(bad.json(), { status: 400, errors: [{ path: /organizationId/ }] })
})

t.test('what is not understood is refused by name, and changes nothing', async (t) => {
  const send = (method: 'POST' | 'PATCH', url: string, payload: object) => as(alpha.userId, { method, url, payload })
  const member = urlOf(alpha, `/members/${alpha.userId}`)
  const cases: [Awaited<ReturnType<typeof send>>, RegExp][] = [
    [await send('POST', '/v1/organizations', { name: 'A', plan: 'gold' }), /plan/],
    [await send('POST', '/v1/organizations', { name: ' ' }), /name/],
    [await send('POST', '/v1/organizations', { name: 'a\u0000' }), /name/],
    [await send('PATCH', urlOf(alpha), { name: 'A', id: newId('org') }), /id/],
    [await send('PATCH', member, { role: 'operator' }), /role/],
    [await send('PATCH', member, { role: 'owner', organizationId: beta.organizationId }), /organizationId/],
  ]
  for (const [answer, field] of cases) {
    t.equal(answer.statusCode, 400, answer.body)
    t.match(answer.json().errors[0].path, field)
  }
  t.equal((await as(alpha.userId, { url: urlOf(alpha) })).json().name, 'Test')
})
