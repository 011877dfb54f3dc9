import { sql } from 'drizzle-orm'
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import fp from 'fastify-plugin'
import pg from 'pg'

type Transaction = Parameters<Parameters<NodePgDatabase['transaction']>[0]>[0]
declare const walled: unique symbol
/** A transaction that sees one organization's rows only. */
export type TenantTx = Transaction & { readonly [walled]: 'tenant' }
/** A transaction that sees all rows: sign-in, key look-up, background jobs. */
export type SystemTx = Transaction & { readonly [walled]: 'system' }

export type Postgres = ReturnType<typeof createPostgres>

declare module 'fastify' {
  interface FastifyInstance {
    postgres: Postgres
  }
}

interface PostgresOptions {
  url: string
  poolMax: number
  /** Called once for every connection that breaks, idle or in use. */
  onConnectionError?: (error: Error) => void
}

interface RolePowers {
  name: string
  superuser: boolean
  bypassesRls: boolean
  ownsTables: boolean
}

/** What the role may do and what it may become: SET ROLE is open to every member. */
const ROLE_POWERS = `
  select current_user as name, bool_or(rolsuper) as superuser, bool_or(rolbypassrls) as "bypassesRls",
    exists (select from pg_tables join pg_roles owner on owner.rolname = tableowner
            where schemaname = 'public' and pg_has_role(current_user, owner.oid, 'MEMBER')) as "ownsTables"
  from pg_roles where pg_has_role(current_user, oid, 'MEMBER')`

/** Local to each transaction: as parameters of the connection a transaction pooler would refuse them. */
const TIME_LIMITS = sql.raw(
  `set_config('statement_timeout', '10s', true), set_config('idle_in_transaction_session_timeout', '15s', true)`,
)

/** Opens a pool whose only doors are `withTenant` and `withSystem`; both are one transaction, safe behind PgBouncer. */
export function createPostgres({ url, poolMax, onConnectionError = () => {} }: PostgresOptions) {
  const pool = new pg.Pool({
    connectionString: url,
    max: poolMax,
    connectionTimeoutMillis: 3000,
    idleTimeoutMillis: 30_000,
    application_name: 'meterhouse',
  })
  // The pool listens to idle connections only: one that breaks in use would end the process without a listener of its own.
  pool.on('connect', (client) => client.on('error', onConnectionError))
  pool.on('error', () => {
    // The connection's own listener has reported it.
  })

  /**
   * Drizzle's own transaction on a pool keeps the connection for good when BEGIN fails, and reports a failed ROLLBACK in place of
   * what went wrong, so the connection is taken and given back here. One that is still inside a transaction is closed instead.
   */
  async function transaction<T>(setting: string, value: string, fn: (tx: Transaction) => Promise<T>): Promise<T> {
    const client = await pool.connect()
    let cause: unknown
    try {
      return await drizzle(client).transaction(async (tx) => {
        try {
          await tx.execute(sql`select set_config(${setting}, ${value}, true), ${TIME_LIMITS}`)
          return await fn(tx)
        } catch (error) {
          cause = error
          throw error
        }
      })
    } catch (error) {
      throw cause ?? error
    } finally {
      client.release(client.getTransactionStatus() !== 'I')
    }
  }

  return {
    /**
     * Runs `fn` in a transaction walled to one organization by row-level security. The setting is bound, not pasted, and local
     * to the transaction: nothing has to be reset, and a connection cannot carry it to the next request.
     */
    withTenant<T>(organizationId: string, fn: (tx: TenantTx) => Promise<T>): Promise<T> {
      return transaction('app.organization_id', organizationId, (tx) => fn(tx as TenantTx))
    },

    /** Runs `fn` as the system role, outside every wall. For look-ups before the organization is known, and for jobs. */
    withSystem<T>(fn: (tx: SystemTx) => Promise<T>): Promise<T> {
      return transaction('role', 'meterhouse_system', (tx) => fn(tx as SystemTx))
    },

    async ping(): Promise<void> {
      await pool.query('select 1')
    },

    /** What the boot checks need to know about the role and the migrations of this connection. */
    async inspect() {
      const role = await pool.query<RolePowers>(ROLE_POWERS)
      const applied = await pool
        .query<{ hash: string }>('select hash from drizzle.__drizzle_migrations order by created_at')
        .catch(ignoreMissingTable)
      return { role: role.rows[0], migrations: applied.rows.map((row) => row.hash) }
    },

    close: () => pool.end(),
  }
}

/** A database that was never migrated has no journal; the boot check reports that as every migration missing. */
function ignoreMissingTable(error: { code?: string }): { rows: { hash: string }[] } {
  if (error.code === '42P01' || error.code === '3F000' || error.code === '42501') return { rows: [] }
  throw error
}

export default fp(
  async (app, options: Omit<PostgresOptions, 'onConnectionError'>) => {
    const postgres = createPostgres({
      ...options,
      // pg hangs the whole client on the error, which would fill the log with its inside.
      onConnectionError: ({ message }) => app.log.warn({ reason: message }, 'a Postgres connection broke'),
    })
    app.decorate('postgres', postgres)
    app.addHook('onClose', () => postgres.close())
  },
  { name: 'postgres' },
)
