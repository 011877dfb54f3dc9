import { eq, sql } from 'drizzle-orm'
import type { FastifyInstance } from 'fastify'
import { users } from '../../src/domains/identity/tables.ts'
import { type OrganizationRole, ROLE_PERMISSIONS } from '../../src/domains/organizations/roles.ts'
import { memberships, roles } from '../../src/domains/organizations/tables.ts'
import { issueKey } from '../../src/domains/projects/index.ts'
import { generateKey } from '../../src/domains/projects/keys.ts'
import { KEY_SCOPES, type KeyScope, type Permission } from '../../src/http/access.ts'
import { newId } from '../../src/ids.ts'
import { insertSession, sessionIdOf, type TestTenant } from './tenants.ts'

const HOUR_SECONDS = 3600

/** An API key of the tenant's project with these scopes, as `{ id, key }`. */
export function makeApiKey(app: FastifyInstance, tenant: TestTenant, scopes: KeyScope[]) {
  const { organizationId, projectId } = tenant
  return app.postgres.withTenant(organizationId, (tx) =>
    issueKey(tx, { organizationId, projectId }, { name: 'access', kind: 'api', scopes }),
  )
}

/** An access token of a new member of the tenant's organization. */
export async function makeMember(app: FastifyInstance, tenant: TestTenant, role: OrganizationRole): Promise<string> {
  return sessionOf(app, await addMember(app, tenant, role))
}

/** A new person with a session who is a member of the tenant's organization; gives the id of the person. */
export async function addMember(app: FastifyInstance, tenant: TestTenant, role: OrganizationRole): Promise<string> {
  const { organizationId } = tenant
  const userId = newId('usr')
  await app.postgres.withSystem(async (tx) => {
    await tx.insert(users).values({ id: userId, email: `${userId}@example.com`, name: role, passwordHash: 'none' })
    await insertSession(tx, userId)
    await tx.insert(memberships).values({ id: newId('mem'), organizationId, userId, role })
  })
  return userId
}

/** A new member with a role that the organization made of these permissions; gives the ids of both. */
export async function addCustomMember(app: FastifyInstance, tenant: TestTenant, permissions: readonly Permission[]) {
  const { organizationId } = tenant
  const [userId, roleId] = [await addMember(app, tenant, 'viewer'), newId('rol')]
  await app.postgres.withTenant(organizationId, async (tx) => {
    await tx
      .insert(roles)
      .values({ organizationId, id: roleId, name: roleId, nameKey: roleId, permissions: [...permissions] })
    await tx.update(memberships).set({ role: 'custom', roleId }).where(eq(memberships.userId, userId))
  })
  return { userId, roleId }
}

/** An API key with one scope, and its counterpart with every other. */
export async function makeScopedKeys(app: FastifyInstance, tenant: TestTenant) {
  const entries = KEY_SCOPES.map(async (permission) => {
    const others = KEY_SCOPES.filter((other) => other !== permission)
    const [only, without] = [await makeApiKey(app, tenant, [permission]), await makeApiKey(app, tenant, others)]
    return [permission, { only: only.key, without: without.key }] as const
  })
  return new Map(await Promise.all(entries))
}

export async function makeRoleSessions(app: FastifyInstance, tenant: TestTenant) {
  const roles = Object.keys(ROLE_PERMISSIONS) as OrganizationRole[]
  return Object.fromEntries(await Promise.all(roles.map(async (role) => [role, await makeMember(app, tenant, role)])))
}

const expiry = (seconds: number) => Math.floor(Date.now() / 1000) + seconds

/** An access token of the session that every test user has from the start. */
export function sessionOf(app: FastifyInstance, userId: string, sid = sessionIdOf(userId)): string {
  return app.jwt.sign({ typ: 'session', sub: userId, sid, exp: expiry(HOUR_SECONDS) })
}

/** The token that the start page carries: it watches one project. */
export function viewerOf(app: FastifyInstance, projectId: string): string {
  return app.jwt.sign({ typ: 'viewer', sub: projectId, exp: expiry(HOUR_SECONDS) })
}

/** Credentials that must not act for the tenant, each wrong in one way only, by what is wrong. */
export async function makeInvalidCredentials(
  app: FastifyInstance,
  tenant: TestTenant,
): Promise<Record<string, string>> {
  const { userId } = tenant
  const claims = { typ: 'session', sub: userId, sid: sessionIdOf(userId), exp: expiry(HOUR_SECONDS) }
  const real = app.jwt.sign(claims)
  const [header = '', payload = '', signature = ''] = real.split('.')
  const unsigned = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')
  const stronger = Buffer.from(JSON.stringify({ ...claims, sub: newId('usr'), iss: 'meterhouse' })).toString(
    'base64url',
  )
  const without = (claim: keyof typeof claims) => app.jwt.sign({ ...claims, [claim]: undefined })
  return {
    garbage: 'garbage',
    'an unknown key': generateKey('api'),
    'an unknown write key': generateKey('write'),
    'a mistyped key': swapLastCharacter(tenant.apiKey),
    'a cut key': tenant.apiKey.slice(0, -1),
    'an expired key': await endedKey(app, tenant, sql`expires_at = now() - interval '1 second'`),
    'a revoked key': await endedKey(app, tenant, sql`revoked_at = now()`),
    'a token without a signature': `${header}.${payload}.`,
    'a token with alg none': `${unsigned}.${payload}.`,
    'a token with alg none and a signature': `${unsigned}.${payload}.${signature}`,
    'a token with other claims under its signature': `${header}.${stronger}.${signature}`,
    'a token of another secret': app.jwt.sign(claims, { key: 'another secret that is long enough to sign with' }),
    'a token that names an unknown secret': app.jwt.sign(claims, { kid: '00000000' }),
    'a token that brings the address of a key': app.jwt.sign(claims, {
      header: { jku: 'https://evil.example/keys' },
    } as object),
    'a token of another algorithm': app.jwt.sign(claims, { algorithm: 'HS512' }),
    'a token of another issuer': app.jwt.sign(claims, { iss: 'somebody' }),
    'a token of another type': app.jwt.sign({ ...claims, typ: 'refresh' }),
    'a token without a type': without('typ'),
    'a token without a person': without('sub'),
    'a token without an end': without('exp'),
    'a token without a session': without('sid'),
    'a token of a session that is not there': sessionOf(app, userId, newId('ses')),
    "a token of somebody else's session": sessionOf(app, newId('usr'), sessionIdOf(userId)),
    'a token of a session that has ended': await endedSession(app, userId),
    'an expired token': app.jwt.sign({ ...claims, exp: expiry(-1) }),
  }
}

async function endedKey(app: FastifyInstance, tenant: TestTenant, end: ReturnType<typeof sql>): Promise<string> {
  const { id, key } = await makeApiKey(app, tenant, [...KEY_SCOPES])
  await app.postgres.withSystem((tx) => tx.execute(sql`update api_keys set ${end} where id = ${id}`))
  return key
}

async function endedSession(app: FastifyInstance, userId: string): Promise<string> {
  const id = newId('ses')
  await app.postgres.withSystem(async (tx) => {
    await insertSession(tx, userId, id)
    await tx.execute(sql`update sessions set ended_at = now() where id = ${id}`)
  })
  return sessionOf(app, userId, id)
}

function swapLastCharacter(key: string): string {
  return key.slice(0, -1) + (key.endsWith('0') ? '1' : '0')
}
