import { setTimeout as delay } from 'node:timers/promises'
import { sql } from 'drizzle-orm'
import type pg from 'pg'
import type { Postgres, SystemTx, TenantTx } from '../../src/infra/postgres.ts'

type Tx = TenantTx | SystemTx
type Door = (own: string, work: (tx: Tx) => Promise<unknown>) => Promise<unknown>

/** One use of the pool by one of two organizations. Resolves to what was wrong with it, if anything was. */
interface Step {
  name: string
  step: (own: string, other: string) => Promise<string | undefined>
}

/** Everything that may happen to a transaction, its connection and its backend; `deadly` are those that end the backend. */
export function poolSteps(postgres: Postgres, admin: pg.Client): Record<'everyday' | 'deadly', Step[]> {
  const tenant: Door = (own, work) => postgres.withTenant(own, work)
  const system: Door = (_own, work) => postgres.withSystem(work)
  const canceled = (tx: Tx) => interrupted(tx, admin, 'pg_cancel_backend')
  const killed = (tx: Tx) => interrupted(tx, admin, 'pg_terminate_backend')
  const read = (own: string) => readsItsOwn(postgres, own)
  return {
    everyday: [
      { name: 'read', step: read },
      {
        name: 'both at once',
        step: async (own, other) => (await Promise.all([own, other, own].map(read))).find(Boolean),
      },
      { name: 'system read', step: (own, other) => systemReadsBoth(postgres, own, other) },
      { name: 'error in a savepoint', step: (own) => readsItsOwnAfterSavepoint(postgres, own) },
      { name: 'statement error', step: failing('22012', tenant, divideByZero) },
      { name: 'system statement error', step: failing('22012', system, divideByZero) },
      {
        name: 'refused write',
        step: failing('42501', tenant, (tx) => tx.execute(sql`update organizations set id = 'org_stolen'`)),
      },
      { name: 'thrown error', step: failing('thrown', tenant, throwing) },
      { name: 'statement timeout', step: failing('57014', tenant, timingOut) },
      { name: 'canceled query', step: failing('57014', tenant, canceled) },
      { name: 'canceled system query', step: failing('57014', system, canceled) },
    ],
    deadly: [
      { name: 'killed backend', step: failing('57P01', tenant, killed) },
      { name: 'killed system backend', step: failing('57P01', system, killed) },
      { name: 'killed idle backend', step: (own) => survivesKilledIdle(postgres, admin, own) },
    ],
  }
}

/** What the next user of the pool would find of the one before, or undefined when there is nothing. */
export async function residue(postgres: Postgres): Promise<string | undefined> {
  const { role } = await postgres.inspect()
  if (role?.name !== 'meterhouse_app') return `the connection came back as ${role?.name}`
  const left = await postgres.withSystem(async (tx) => {
    const { rows } = await tx.execute<{ left: string | null }>(
      sql`select current_setting('app.organization_id', true) as left`,
    )
    return rows[0]?.left
  })
  return left ? `the connection came back with the organization ${left}` : undefined
}

function failing(code: string, door: Door, work: (tx: Tx) => Promise<unknown>): Step['step'] {
  return async (own) => {
    const actual = await door(own, work).then(() => 'success', codeOf)
    return actual === code ? undefined : `expected ${code} and got ${actual}`
  }
}

async function readsItsOwn(postgres: Postgres, own: string): Promise<string | undefined> {
  const ids = await postgres.withTenant(own, organizationsIn)
  return ids.length === 1 && ids[0] === own ? undefined : `${own} read ${ids}`
}

async function systemReadsBoth(postgres: Postgres, own: string, other: string): Promise<string | undefined> {
  const ids = await postgres.withSystem(organizationsIn)
  return ids.includes(own) && ids.includes(other) ? undefined : `the system role read ${ids}`
}

async function readsItsOwnAfterSavepoint(postgres: Postgres, own: string): Promise<string | undefined> {
  const ids = await postgres.withTenant(own, async (tx) => {
    await tx.transaction(divideByZero).catch(codeOf)
    return organizationsIn(tx)
  })
  return ids.length === 1 && ids[0] === own ? undefined : `after a savepoint ${own} read ${ids}`
}

/**
 * The pool hands out a connection whose end it has not heard of yet. That use may fail, and so may one more while the server is
 * still at it; the third may not, or a slot of the pool is gone for good.
 */
async function survivesKilledIdle(postgres: Postgres, admin: pg.Client, own: string): Promise<string | undefined> {
  const pid = await postgres.withTenant(own, backendOf)
  const killed = admin.query('select pg_terminate_backend($1, 5000)', [pid])
  letTheServerWork()
  await postgres.withTenant(own, organizationsIn).catch(codeOf)
  await killed
  await postgres.withTenant(own, organizationsIn).catch(codeOf)
  return readsItsOwn(postgres, own)
}

/** Blocks this process, so that it cannot read the end of a connection that the server meanwhile closes. */
function letTheServerWork(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
}

async function organizationsIn(tx: Pick<Tx, 'execute'>): Promise<string[]> {
  return (await tx.execute<{ id: string }>(sql`select id from organizations`)).rows.map(({ id }) => id)
}

async function backendOf(tx: Tx): Promise<number | undefined> {
  return (await tx.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`)).rows[0]?.pid
}

async function divideByZero(tx: Pick<Tx, 'execute'>): Promise<void> {
  await tx.execute(sql`select 1 / 0`)
}

async function throwing(tx: Tx): Promise<void> {
  await organizationsIn(tx)
  throw Object.assign(new Error('the handler failed'), { code: 'thrown' })
}

async function timingOut(tx: Tx): Promise<void> {
  await tx.execute(sql`set local statement_timeout = 2`)
  await tx.execute(sql`select pg_sleep(10)`)
}

async function interrupted(tx: Tx, admin: pg.Client, how: 'pg_cancel_backend' | 'pg_terminate_backend'): Promise<void> {
  const pid = await backendOf(tx)
  const sleeping = tx.execute(sql`select pg_sleep(10)`).then(
    () => undefined,
    (error: unknown) => error,
  )
  const isAsleep = `select 1 from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'`
  while ((await admin.query(isAsleep, [pid])).rowCount === 0) await delay(1)
  await admin.query(`select ${how}($1)`, [pid])
  const error = await sleeping
  if (error) throw error
}

function codeOf(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) if ('code' in cause) return String(cause.code)
  return 'unknown'
}
