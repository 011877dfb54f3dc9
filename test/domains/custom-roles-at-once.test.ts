import { sql } from 'drizzle-orm'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import { permissionsAmong } from '../../src/domains/organizations/roles.ts'
import type { Permission } from '../../src/http/access.ts'
import { newId } from '../../src/ids.ts'
import { newAddress } from '../helpers/accounts.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { allAtOnce } from '../helpers/at-once.ts'
import { addCustomMember, addMember, sessionOf } from '../helpers/principals.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const CALLS = 48
const HELD: Permission[] = ['roles:write', 'members:write', 'query:read']
const NARROW: Permission[] = ['query:read']
const WIDE: Permission[] = ['query:read', 'audit:read']

const { app } = await startTestApp(t)
const [alpha, beta] = await createTwoTenants(app)
const { organizationId } = alpha
const organization = `/v1/organizations/${organizationId}`
const as = (userId: string, request: InjectOptions) =>
  app.inject(authorized(sessionOf(app, userId), { remoteAddress: newAddress(), ...request }))
const select = async <T>(statement: ReturnType<typeof sql>) =>
  (await app.postgres.withSystem((tx) => tx.execute(statement))).rows as T[]

interface Entry {
  action: string
  actor_id: string
  target_id: string
  after: { role?: string; permissions?: string[] } | null
}
interface Stored {
  id: string
  permissions: string[]
}

const rolesNow = () => select<Stored>(sql`select id, permissions from roles where organization_id = ${organizationId}`)

/** Goes through the log from a state before it, and gives whatever was given that was not there or not the giver's to give. */
function misgiven(before: Stored[], entries: Entry[], giver: { userId: string; roleId: string }): string[] {
  const roles = new Map(before.map(({ id, permissions }) => [id, permissionsAmong(permissions)]))
  const faults: string[] = []
  for (const { action, actor_id, target_id, after } of entries) {
    if (action === 'role.deleted') roles.delete(target_id)
    if (action === 'role.changed') roles.set(target_id, permissionsAmong(after?.permissions ?? []))
    if (action !== 'member.role_changed') continue
    const [given, own] = [roles.get(after?.role ?? ''), roles.get(giver.roleId) ?? []]
    if (!given) faults.push(`${after?.role} was given and is not there`)
    if (actor_id === giver.userId && given?.some((permission) => !own.includes(permission)))
      faults.push(`${given} was given by somebody with ${own}`)
  }
  return faults
}

t.test(
  'while two admins change and delete roles that are being given, nobody gets one that is gone or above its giver',
  async (t) => {
    const giver = await addCustomMember(app, alpha, HELD)
    const admin = await addMember(app, alpha, 'admin')
    const roles = await Promise.all(Array.from({ length: 4 }, () => addCustomMember(app, alpha, NARROW)))
    // A role that somebody has cannot go, so that these begin with none.
    for (const { userId } of roles) {
      const payload = { role: 'viewer' }
      await as(alpha.userId, { method: 'PATCH', url: `${organization}/members/${userId}`, payload })
    }
    const people = await Promise.all(Array.from({ length: CALLS }, () => addCustomMember(app, alpha, [])))
    for (const { userId } of [giver, { userId: admin }]) await as(userId, { url: organization })
    const [before, { sequence }] = [
      await rolesNow(),
      (
        await select<{ sequence: string }>(
          sql`select max(sequence) as sequence from audit_entries where organization_id = ${organizationId}`,
        )
      )[0] as { sequence: string },
    ]
    /** Eight calls after each other are about one role. */
    const roleOf = (index: number) => roles[(index >> 3) % roles.length]?.roleId
    const give = (index: number) => {
      const url = `${organization}/members/${people[index]?.userId}`
      return as(giver.userId, { method: 'PATCH', url, payload: { role: roleOf(index) } })
    }
    const change = (roleId: string | undefined, permissions: Permission[]) =>
      as(admin, { method: 'PATCH', url: `${organization}/roles/${roleId}`, payload: { permissions } })
    const calls: ((index: number) => ReturnType<typeof as>)[] = [
      give,
      (index) => change(roleOf(index), WIDE),
      give,
      (index) => change(roleOf(index), NARROW),
      () => change(giver.roleId, HELD.slice(0, 2)),
      give,
      () => change(giver.roleId, HELD),
      (index) => as(alpha.userId, { method: 'DELETE', url: `${organization}/roles/${roleOf(index)}` }),
    ]
    const answers = await allAtOnce(app, ['memberships', 'roles'], () =>
      Array.from({ length: CALLS }, (_, index) => {
        // Every other role is deleted first and not last.
        const call = calls[(index % 16 < 8 ? index : index + 7) % calls.length]
        if (!call) throw new Error('there are no calls')
        return call(index)
      }),
    )
    const statuses = answers.map(({ statusCode }) => statusCode)
    t.same(
      statuses.filter((status) => ![200, 204, 400, 403, 404, 409].includes(status)),
      [],
    )
    t.ok(statuses.includes(200))
    const entries = await select<Entry>(sql`select action, actor_id, target_id, after from audit_entries
      where organization_id = ${organizationId} and sequence > ${sequence} order by sequence`)
    t.same(misgiven(before, entries, giver), [])
    // Which of them come in time is theirs to settle; most often several do.
    const given = entries.filter(
      ({ action, actor_id }) => action === 'member.role_changed' && actor_id === giver.userId,
    )
    t.comment(`${given.length} given, ${entries.filter(({ action }) => action === 'role.deleted').length} deleted`)
    const orphans = await select(sql`select user_id from memberships m where role_id is not null and not exists
      (select from roles r where r.organization_id = m.organization_id and r.id = m.role_id)`)
    t.same(orphans, [])
    const counts = await select<{ id: string }>(
      sql`select id from roles where organization_id = ${beta.organizationId}`,
    )
    t.same(counts, [], 'nothing of it is in another organization')
  },
)

t.test('the look through the log finds what was given against the rule', async (t) => {
  const giver = { userId: newId('usr'), roleId: newId('rol') }
  const [before, given] = [[{ id: giver.roleId, permissions: HELD }], newId('rol')]
  const act = { action: 'member.role_changed', actor_id: giver.userId, target_id: 'somebody', after: { role: given } }
  t.match(misgiven(before, [act], giver), [/is not there/])
  t.match(misgiven([...before, { id: given, permissions: WIDE }], [act], giver), [/audit:read/])
  t.same(misgiven([...before, { id: given, permissions: NARROW }], [act], giver), [])
})
