// Makes the demo organization, once per database, and prints its credentials as one JSON line.
import { randomBytes } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { loadConfig } from '../src/config.ts'
import { createCatalogService, createSubscriptionsService } from '../src/domains/billing/index.ts'
import { hashPassword } from '../src/domains/identity/index.ts'
import { users } from '../src/domains/identity/tables.ts'
import { memberships, organizations } from '../src/domains/organizations/tables.ts'
import { issueKey } from '../src/domains/projects/index.ts'
import { projects } from '../src/domains/projects/tables.ts'
import { KEY_SCOPES } from '../src/http/access.ts'
import { newId } from '../src/ids.ts'
import { createMailer } from '../src/infra/mail.ts'
import { createPostgres } from '../src/infra/postgres.ts'

const EMAIL = 'demo@meterhouse.localhost'

const config = loadConfig()
const postgres = createPostgres(config.postgres)
const seeded = await seed().finally(() => postgres.close())
console.log(JSON.stringify(seeded ?? { seeded: false }))
if (seeded) await welcome()

/** All of it in one transaction, behind a lock: two seeds at once make one demo organization. */
async function seed() {
  const password = randomBytes(15).toString('base64url')
  const passwordHash = await hashPassword(password)
  return postgres.withSystem(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(hashtext('meterhouse seed'))`)
    if ((await tx.select({ id: organizations.id }).from(organizations).limit(1)).length > 0) return undefined
    const scope = { organizationId: newId('org'), projectId: newId('prj') }
    const userId = newId('usr')
    await tx.insert(users).values({ id: userId, email: EMAIL, name: 'Demo', passwordHash })
    await tx.insert(organizations).values({ id: scope.organizationId, name: 'Demo' })
    // A plan without limits: the demo shop sends for as long as it is shown, and the benchmarks send with its key.
    const unlimited = { postgres, catalog: createCatalogService({ postgres }), defaultPlanKey: 'enterprise' }
    await createSubscriptionsService(unlimited).begin(tx, scope.organizationId)
    await tx
      .insert(memberships)
      .values({ id: newId('mem'), organizationId: scope.organizationId, userId, role: 'owner' })
    await tx.insert(projects).values({ id: scope.projectId, organizationId: scope.organizationId, name: 'Demo shop' })
    const writeKey = await issueKey(tx, scope, { name: 'demo write key', kind: 'write' })
    const apiKey = await issueKey(tx, scope, {
      name: 'demo API key',
      kind: 'api',
      scopes: [...KEY_SCOPES],
    })
    return { email: EMAIL, password, ...scope, writeKey: writeKey.key, apiKey: apiKey.key }
  })
}

/** So that the inbox shows something on the first visit. The credentials stay out of it. */
async function welcome(): Promise<void> {
  const mailer = createMailer(config.mail)
  const text = `Your Meterhouse is running at ${config.http.publicUrl}.\n\nEvery email that it sends lands in this inbox.\nThe API reference: ${config.http.publicUrl}/docs\n`
  const html = `<p>Your Meterhouse is running at <a href="${config.http.publicUrl}">${config.http.publicUrl}</a>.</p><p>Every email that it sends lands in this inbox.</p><p><a href="${config.http.publicUrl}/docs">API reference</a></p>`
  await mailer
    .send({ to: EMAIL, subject: 'Welcome to Meterhouse', text, html })
    .catch((error: Error) => console.error(`The welcome email could not be sent: ${error.message}`))
    .finally(() => mailer.close())
}
