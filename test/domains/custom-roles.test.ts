import { sql } from 'drizzle-orm'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import { ROLE_GRANTABLE, ROLES } from '../../src/domains/organizations/roles.ts'
import { PERMISSIONS, type Permission } from '../../src/http/access.ts'
import { newId } from '../../src/ids.ts'
import { newAddress } from '../helpers/accounts.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { addCustomMember, addMember, sessionOf } from '../helpers/principals.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)
const [alpha, beta] = await createTwoTenants(app)

const as = (userId: string, request: InjectOptions) =>
  app.inject(authorized(sessionOf(app, userId), { remoteAddress: newAddress(), ...request }))
const rolesOf = ({ organizationId }: TestTenant, roleId?: string) =>
  `/v1/organizations/${organizationId}/roles${roleId ? `/${roleId}` : ''}`
const make = (userId: string, tenant: TestTenant, payload: object) =>
  as(userId, { method: 'POST', url: rolesOf(tenant), payload })
const change = (userId: string, tenant: TestTenant, roleId: string, payload: object) =>
  as(userId, { method: 'PATCH', url: rolesOf(tenant, roleId), payload })
const remove = (userId: string, tenant: TestTenant, roleId: string) =>
  as(userId, { method: 'DELETE', url: rolesOf(tenant, roleId) })
const give = (userId: string, tenant: TestTenant, member: string, role: string) =>
  as(userId, {
    method: 'PATCH',
    url: `/v1/organizations/${tenant.organizationId}/members/${member}`,
    payload: { role },
  })
const named = (...permissions: Permission[]) => ({ name: newId('rol'), permissions })
const auditOf = async ({ organizationId }: TestTenant, action: string) => {
  const statement = sql`select actor_id, target_id, before, after from audit_entries
    where organization_id = ${organizationId} and action = ${action} order by sequence desc limit 1`
  return (await app.postgres.withSystem((tx) => tx.execute(statement))).rows[0]
}

t.test(
  'a role is made, listed beside the built-in ones, given, changed and deleted, and each is written down',
  async (t) => {
    const input = { name: 'Data engineer', permissions: ['query:read', 'projects:read'] }
    const made = await make(alpha.userId, alpha, input)
    t.equal(made.statusCode, 201, made.body)
    t.match(made.json(), { id: /^rol_/, ...input, builtIn: false, members: 0 })
    const { id } = made.json()
    t.match(await auditOf(alpha, 'role.made'), { actor_id: alpha.userId, target_id: id, after: input })

    const member = await addMember(app, alpha, 'viewer')
    t.equal((await give(alpha.userId, alpha, member, id)).json().role, id)
    const { data } = (await as(alpha.userId, { url: rolesOf(alpha) })).json()
    t.same(
      data.map((role: { name: string }) => role.name),
      [...ROLES, 'Data engineer'],
    )
    t.match(data.at(-1), { id, members: 1 })
    t.match(data[0], { id: 'owner', builtIn: true, members: 1 })
    const { memberships } = (await as(member, { url: '/v1/me' })).json()
    t.match(memberships, [{ organizationId: alpha.organizationId, role: id }])
    t.equal((await as(member, { url: `/v1/organizations/${alpha.organizationId}` })).statusCode, 403)

    const changed = await change(alpha.userId, alpha, id, { permissions: ['organizations:read'] })
    t.match(changed.json(), { id, name: 'Data engineer', members: 1 })
    t.match(await auditOf(alpha, 'role.changed'), { before: input, after: { permissions: ['organizations:read'] } })
    t.match((await as(member, { url: `/v1/organizations/${alpha.organizationId}` })).json(), { role: id })
    t.equal((await as(member, { url: `/v1/projects/${alpha.projectId}` })).statusCode, 403, 'with the next request')

    const inUse = await remove(alpha.userId, alpha, id)
    t.equal(inUse.statusCode, 409)
    t.match(inUse.json(), { code: 'organizations.role_in_use', detail: /^1 member has the role/ })
    t.equal((await give(alpha.userId, alpha, member, 'viewer')).statusCode, 200)
    t.equal((await remove(alpha.userId, alpha, id)).statusCode, 204)
    t.match(await auditOf(alpha, 'role.deleted'), { target_id: id })
    t.equal((await remove(alpha.userId, alpha, id)).json().code, 'organizations.role_not_found')
  },
)

t.test('nobody makes, widens, takes away or gives a role that may do what they may not', async (t) => {
  const { userId, roleId } = await addCustomMember(app, alpha, ['roles:write', 'members:write', 'query:read'])
  const above = (await make(alpha.userId, alpha, named('query:read', 'audit:read'))).json().id
  const below = (await make(alpha.userId, alpha, named('query:read'))).json().id
  t.equal((await make(userId, alpha, named('query:read'))).statusCode, 201)
  for (const permission of ROLE_GRANTABLE) {
    const has = ['roles:write', 'members:write', 'query:read'].includes(permission)
    t.equal((await make(userId, alpha, named(permission))).statusCode, has ? 201 : 403, `make with ${permission}`)
    if (has) continue
    t.equal((await change(userId, alpha, roleId, { permissions: [permission] })).statusCode, 403, 'not to oneself')
    t.equal((await change(userId, alpha, below, { permissions: [permission] })).statusCode, 403)
  }
  t.equal((await change(userId, alpha, above, { permissions: ['query:read'] })).statusCode, 403, 'not even to less')
  t.equal((await change(userId, alpha, above, { name: 'Renamed' })).statusCode, 403)
  t.equal((await remove(userId, alpha, above)).statusCode, 403)

  const plain = (await addCustomMember(app, alpha, ['query:read'])).userId
  t.equal((await give(userId, alpha, plain, above)).statusCode, 403)
  t.equal((await give(userId, alpha, plain, 'viewer')).statusCode, 403, 'a viewer may do more than they may')
  t.equal((await give(userId, alpha, userId, 'owner')).statusCode, 403)
  t.equal((await give(userId, alpha, plain, below)).statusCode, 200)
  const viewer = await addMember(app, alpha, 'viewer')
  t.equal((await give(userId, alpha, viewer, below)).statusCode, 403, 'nor is more taken from anybody')
  t.equal((await give(userId, alpha, alpha.userId, below)).statusCode, 403)
})

t.test('a role with every permission is not an owner', async (t) => {
  const { userId, roleId } = await addCustomMember(app, alpha, ROLE_GRANTABLE)
  const admin = await addMember(app, alpha, 'admin')
  t.equal((await give(userId, alpha, alpha.userId, roleId)).statusCode, 403)
  t.equal((await give(userId, alpha, userId, 'owner')).statusCode, 403)
  t.equal((await give(userId, alpha, admin, 'viewer')).statusCode, 200)
  t.equal((await give(alpha.userId, alpha, alpha.userId, roleId)).json().code, 'organizations.last_owner')
})

t.test("another organization's role looks like none", async (t) => {
  const foreign = (await make(beta.userId, beta, named('query:read'))).json().id
  const member = await addMember(app, alpha, 'viewer')
  for (const id of [foreign, newId('rol')]) {
    t.equal((await change(alpha.userId, alpha, id, { name: 'Mine' })).json().code, 'organizations.role_not_found')
    t.equal((await remove(alpha.userId, alpha, id)).json().code, 'organizations.role_not_found')
    const given = await give(alpha.userId, alpha, member, id)
    t.equal(given.statusCode, 400)
    t.match(given.json().errors, [{ path: '/role' }])
  }
  t.notMatch((await as(alpha.userId, { url: rolesOf(alpha) })).body, foreign)
  const statement = sql`update memberships set role = 'custom', role_id = ${foreign} where user_id = ${member}`
  await t.rejects(
    app.postgres.withSystem((tx) => tx.execute(statement)),
    'and the database refuses it, too',
  )
})

t.test('names are told apart without their letter case, from the built-in ones too', async (t) => {
  const input = { name: 'Reader', permissions: [] }
  const { id } = (await make(alpha.userId, alpha, input)).json()
  t.equal((await make(beta.userId, beta, input)).statusCode, 201, 'others have their own')
  for (const name of ['READER', 'Owner'])
    t.equal((await make(alpha.userId, alpha, { ...input, name })).json().code, 'organizations.role_name_taken')
  t.equal((await change(alpha.userId, alpha, id, { name: 'reader' })).statusCode, 200, 'its own is not taken')
  for (const payload of [{ name: 'x' }, { ...input, permissions: ['events:write'] }, { ...input, owner: true }])
    t.equal((await make(alpha.userId, alpha, payload)).statusCode, 400)
})

t.test('a key made by somebody with such a role has no scope that the role lacks', async (t) => {
  const { userId } = await addCustomMember(app, alpha, ['keys:write', 'query:read'])
  const makeKey = (...scopes: string[]) =>
    as(userId, {
      method: 'POST',
      url: `/v1/projects/${alpha.projectId}/api-keys`,
      payload: { name: 'a', kind: 'api', scopes },
    })
  t.equal((await makeKey('query:read')).statusCode, 201)
  t.equal((await makeKey('query:read', 'audit:read')).statusCode, 403)
})

t.test('the catalog has a sentence for every permission', async (t) => {
  const { data } = (await as(alpha.userId, { url: '/v1/permissions' })).json()
  t.same(
    data.map(({ permission }: { permission: string }) => permission),
    [...PERMISSIONS],
  )
  for (const { permission, description, forRoles } of data) {
    t.match(description, /^[A-Z].*\.$/)
    t.equal(forRoles, permission !== 'events:write')
  }
})
