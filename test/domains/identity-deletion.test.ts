import { sql } from 'drizzle-orm'
import t from 'tap'
import { createAuditService } from '../../src/domains/audit/index.ts'
import { memberships } from '../../src/domains/organizations/tables.ts'
import { newId } from '../../src/ids.ts'
import { newAddress, post, refresh, signIn, statusOfMe } from '../helpers/accounts.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)
const audit = createAuditService(app)
const system = (statement: ReturnType<typeof sql>) => app.postgres.withSystem((tx) => tx.execute(statement))

function remove(accessToken: string, password: string) {
  const request = { method: 'DELETE', url: '/v1/me', payload: { password } } as const
  return app.inject(authorized(accessToken, { ...request, remoteAddress: newAddress() }))
}

const join = ({ organizationId }: TestTenant, { userId }: TestTenant, role: 'owner' | 'viewer') =>
  app.postgres.withSystem((tx) => tx.insert(memberships).values({ id: newId('mem'), organizationId, userId, role }))

const membersOf = async ({ organizationId }: TestTenant) =>
  (await system(sql`select user_id from memberships where organization_id = ${organizationId} order by id`)).rows.map(
    ({ user_id }) => user_id,
  )

t.test('a deleted account is gone with its sessions and memberships, and each organization hears of it', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  await join(alpha, beta, 'owner')
  await join(beta, alpha, 'viewer')
  const [here, there] = [await signIn(app, alpha), await signIn(app, alpha)]
  await post(app, '/v1/auth/forgot-password', { payload: { email: alpha.email } })
  t.equal((await remove(here.accessToken, alpha.password)).statusCode, 204)
  for (const { accessToken, refreshToken } of [here, there]) {
    t.equal(await statusOfMe(app, accessToken), 401)
    t.equal((await refresh(app, refreshToken)).statusCode, 401)
  }
  const login = { payload: { email: alpha.email, password: alpha.password } }
  t.equal((await post(app, '/v1/auth/login', login)).statusCode, 401)
  for (const tenant of [alpha, beta]) {
    const { organizationId } = tenant
    t.same(await membersOf(tenant), [beta.userId])
    const fact = sql`select payload from outbox where organization_id = ${organizationId} and kind = 'organizations.membership_ended'`
    t.same((await system(fact)).rows, [{ payload: { userId: alpha.userId } }])
    const [last] = (await audit.list({ organizationId }, { limit: 1 })).data
    t.match(last, { action: 'account.deleted', actor: { id: alpha.userId, name: 'Test' } })
  }
  const left = sql`select 1 from users where id = ${alpha.userId} union all
    select 1 from sessions where user_id = ${alpha.userId} union all
    select 1 from mailbox_proofs where email = ${alpha.email}`
  t.same((await system(left)).rows, [])
})

t.test('the only owner stays, and is told of which organizations', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  await system(sql`update organizations set name = 'Alone' where id = ${alpha.organizationId}`)
  await system(sql`update organizations set name = 'Shared' where id = ${beta.organizationId}`)
  await join(beta, alpha, 'owner')
  const { accessToken } = await signIn(app, alpha)
  const answer = await remove(accessToken, alpha.password)
  t.match(answer.json(), { status: 409, code: 'organizations.last_owner', detail: /“Alone”/ })
  t.notMatch(answer.body, 'Shared')
  t.equal(await statusOfMe(app, accessToken), 200)
  t.same(await membersOf(beta), [beta.userId, alpha.userId], 'and left none')
})

t.test('of two owners who delete their accounts at once, one stays', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  await join(alpha, beta, 'owner')
  await system(sql`delete from organizations where id = ${beta.organizationId}`)
  const people = [await signIn(app, alpha), await signIn(app, beta)]
  const answers = await Promise.all(people.map(({ accessToken }) => remove(accessToken, alpha.password)))
  t.same(answers.map(({ statusCode }) => statusCode).sort(), [204, 409])
  t.equal((await membersOf(alpha)).length, 1)
})

t.test('a wrong password deletes nothing', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const { accessToken } = await signIn(app, alpha)
  const answer = await remove(accessToken, 'not the password')
  t.match(answer.json(), { status: 422, code: 'identity.wrong_password', errors: [{ path: '/password' }] })
  t.equal(await statusOfMe(app, accessToken), 200)
})
