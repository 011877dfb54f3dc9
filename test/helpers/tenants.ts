import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { createCatalogService, createSubscriptionsService } from '../../src/domains/billing/index.ts'
import { hashPassword } from '../../src/domains/identity/index.ts'
import { sessions, users } from '../../src/domains/identity/tables.ts'
import type { OrganizationRole } from '../../src/domains/organizations/roles.ts'
import { memberships, organizations } from '../../src/domains/organizations/tables.ts'
import { issueKey } from '../../src/domains/projects/index.ts'
import { projects } from '../../src/domains/projects/tables.ts'
import { KEY_SCOPES } from '../../src/http/access.ts'
import { newId } from '../../src/ids.ts'
import type { Postgres, SystemTx } from '../../src/infra/postgres.ts'

export interface TestTenant {
  organizationId: string
  projectId: string
  userId: string
  email: string
  password: string
  writeKey: string
  writeKeyId: string
  apiKey: string
  apiKeyId: string
}

// One hash for all: argon2 is slow on purpose, and no test is about how slow.
const password = randomBytes(12).toString('hex')
const passwordHash = hashPassword(password)

interface TenantOptions {
  /** What it is on; without one nothing is limited. */
  planKey?: string
  clock?: () => Date
}

/** An organization with one project, a member of the given role, a write key and an API key. */
export async function createTenant(
  postgres: Postgres,
  role: OrganizationRole = 'owner',
  { planKey = 'enterprise', clock }: TenantOptions = {},
): Promise<TestTenant> {
  const catalog = createCatalogService({ postgres })
  const begin = { postgres, catalog, defaultPlanKey: planKey, ...(clock && { clock }) }
  const scope = { organizationId: newId('org'), projectId: newId('prj') }
  const userId = newId('usr')
  const email = `${userId}@example.com`
  const hash = await passwordHash
  return postgres.withSystem(async (tx) => {
    await tx.insert(users).values({ id: userId, email, name: 'Test', passwordHash: hash })
    await insertSession(tx, userId)
    await tx.insert(organizations).values({ id: scope.organizationId, name: 'Test' })
    await createSubscriptionsService(begin).begin(tx, scope.organizationId)
    await tx.insert(memberships).values({ id: newId('mem'), organizationId: scope.organizationId, userId, role })
    await tx.insert(projects).values({ id: scope.projectId, organizationId: scope.organizationId, name: 'Test' })
    const write = await issueKey(tx, scope, { name: 'write', kind: 'write' })
    // All that a program may be given, but not the right to send, which is what the write key is for.
    const scopes = KEY_SCOPES.filter((permission) => permission !== 'events:write')
    const api = await issueKey(tx, scope, { name: 'api', kind: 'api', scopes })
    return {
      ...scope,
      userId,
      email,
      password,
      writeKey: write.key,
      writeKeyId: write.id,
      apiKey: api.key,
      apiKeyId: api.id,
    }
  })
}

const DAY_MS = 24 * 3_600_000

/** The id of the session that a test user has from the start, so that a token can be made without asking the database. */
export const sessionIdOf = (userId: string): string => userId.replace('usr_', 'ses_')

export async function insertSession(tx: SystemTx, userId: string, id = sessionIdOf(userId)): Promise<void> {
  await tx.insert(sessions).values({ id, userId, expiresAt: new Date(Date.now() + DAY_MS) })
}

/** Always two: whatever one of them does, the other must not see. */
export async function createTwoTenants(app: FastifyInstance): Promise<[TestTenant, TestTenant]> {
  return Promise.all([createTenant(app.postgres), createTenant(app.postgres)])
}
