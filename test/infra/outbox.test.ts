import { randomBytes } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { newId } from '../../src/ids.ts'
import { append, createOutboxRelay, type Fact } from '../../src/infra/outbox.ts'
import { createPostgres, type Postgres } from '../../src/infra/postgres.ts'
import { eventually } from '../helpers/app.ts'
import { createPostgresDatabase } from '../helpers/services.ts'

const KIND = 'test.happened'
const log = pino({ level: 'silent' })
const { appUrl } = await createPostgresDatabase(t, `outbox_${randomBytes(6).toString('hex')}`)
const open = () => {
  const postgres = createPostgres({ url: appUrl, poolMax: 3 })
  t.teardown(() => postgres.close())
  return postgres
}
const postgres = open()
t.afterEach(() => postgres.withSystem((tx) => tx.execute(sql`delete from outbox`)))

const [alpha, beta] = [newId('org'), newId('org')]

/** Writes one fact in a transaction of its own. */
const happen = (organizationId: string, step: number | string) =>
  postgres.withTenant(organizationId, (tx) => append(tx, { organizationId, kind: KIND, payload: { step } }))

/** Starts a relay and gives the list that fills with what it publishes. */
function relay(t: Test, publish: (fact: Fact) => Promise<void> = async () => {}, on: Postgres = postgres): Fact[] {
  const published: Fact[] = []
  const running = createOutboxRelay({
    postgres: on,
    log,
    publish: async (fact) => {
      published.push(fact)
      await publish(fact)
    },
  })
  running.start()
  t.teardown(() => running.stop())
  return published
}

const steps = (facts: Fact[], organizationId?: string) =>
  facts
    .filter((fact) => (organizationId ?? fact.organizationId) === fact.organizationId)
    .map(({ payload }) => payload.step)

const pending = async () =>
  postgres.withSystem(async (tx) => {
    const { rows } = await tx.execute<{ count: number }>(
      sql`select count(*)::int as count from outbox where published_at is null`,
    )
    return rows[0]?.count
  })

const allMarked = () => eventually('marking every fact', async () => (await pending()) === 0)

t.test('a fact is published if and only if its transaction commits', async (t) => {
  const published = relay(t)
  const gate = Promise.withResolvers<void>()
  const slow = postgres.withTenant(alpha, async (tx) => {
    await append(tx, { organizationId: alpha, kind: KIND, payload: { step: 'slow' } })
    await gate.promise
  })
  const failed = postgres.withTenant(alpha, async (tx) => {
    await append(tx, { organizationId: alpha, kind: KIND, payload: { step: 'failed' } })
    throw new Error('the rest of the transaction failed')
  })
  await t.rejects(failed)
  await happen(beta, 'committed')
  await allMarked()
  t.same(steps(published), ['committed'], 'neither what was rolled back nor what is still open')
  gate.resolve()
  await slow
  await allMarked()
  t.same(steps(published), ['committed', 'slow'])
  t.match(published[1], { organizationId: alpha, kind: KIND, payload: { step: 'slow' } })
})

t.test('a fact whose publication fails is published again, and none is skipped', async (t) => {
  for (const step of [1, 2, 3]) await happen(alpha, step)
  let failures = 0
  const published = relay(t, async ({ payload }) => {
    if (payload.step === 2 && failures++ === 0) throw new Error('the listener is away')
  })
  await allMarked()
  t.equal(failures, 2, 'the second try went through')
  t.same(steps(published), [1, 2, 1, 2, 3], 'from the start of the batch, because nothing of it was marked')
})

t.test('a fact is published again when the relay dies between publishing and marking', async (t) => {
  await happen(alpha, 'once more')
  let deaths = 0
  // Nobody else may be inside a transaction just then: it would be taken for the relay.
  const death = Promise.withResolvers<void>()
  const published = relay(t, async () => {
    if (deaths++ > 0) return
    await terminateRelay()
    death.resolve()
  })
  await death.promise
  await allMarked()
  t.same(steps(published), ['once more', 'once more'])
})

t.test('two relays at once publish each fact once', async (t) => {
  const count = 450
  for (let step = 0; step < count; step++) await happen(step % 2 ? alpha : beta, step)
  const published = [relay(t), relay(t, undefined, open())]
  await allMarked()
  const all = published.flatMap((facts) => steps(facts)).sort((a, b) => Number(a) - Number(b))
  t.same(
    all,
    Array.from({ length: count }, (_, step) => step),
  )
})

t.test('facts of one organization are published in the order of their creation', async (t) => {
  await postgres.withTenant(alpha, async (tx) => {
    for (let step = 0; step < 20; step++) await append(tx, { organizationId: alpha, kind: KIND, payload: { step } })
  })
  for (let step = 20; step < 40; step++) await Promise.all([happen(alpha, step), happen(beta, step)])
  const published = relay(t)
  await allMarked()
  const inOrder = Array.from({ length: 40 }, (_, step) => step)
  t.same(steps(published, alpha), inOrder, 'of one transaction and of many')
  t.same(steps(published, beta), inOrder.slice(20))
})

t.test('a second relay does not overtake one that is still publishing', async (t) => {
  const published: Fact[] = []
  let rounds = 0
  const other = open()
  const counted: Postgres = { ...other, withSystem: (fn) => other.withSystem(fn).finally(() => rounds++) }
  for (const step of [1, 2]) await happen(alpha, step)
  const held = Promise.withResolvers<void>()
  relay(t, async (fact) => {
    if (published.length === 0) {
      await happen(alpha, 3)
      held.resolve()
      await eventually('a round of the other relay', async () => rounds > 0)
    }
    published.push(fact)
  })
  await held.promise
  relay(t, async (fact) => void published.push(fact), counted)
  await allMarked()
  t.same(steps(published), [1, 2, 3])
})

t.test('a published fact is kept for a week, an unpublished one until it is published', async (t) => {
  for (const step of ['old', 'recent', 'waiting']) await happen(alpha, step)
  await postgres.withSystem((tx) =>
    tx.execute(sql`update outbox set created_at = now() - interval '30 days',
      published_at = case payload ->> 'step' when 'old' then now() - interval '8 days' when 'recent' then now() - interval '6 days' end`),
  )
  const published = relay(t)
  const left = await eventually('the old fact to go', async () => {
    const { rows } = await postgres.withSystem((tx) =>
      tx.execute<{ step: string }>(sql`select payload ->> 'step' as step from outbox`),
    )
    return rows.length < 3 && rows.map(({ step }) => step).sort()
  })
  t.same(left, ['recent', 'waiting'])
  await allMarked()
  t.same(steps(published), ['waiting'])
})

/** What a crash of the relay looks like to the database: the connection that publishes ends, nothing is marked. */
async function terminateRelay(): Promise<void> {
  // As a tenant, because the system role may not end sessions of the role that signed in.
  const { rowCount } = await postgres.withTenant(alpha, (tx) =>
    tx.execute(sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and state = 'idle in transaction' and pid <> pg_backend_pid()`),
  )
  if (rowCount !== 1) throw new Error(`${rowCount} relays were terminated`)
}
