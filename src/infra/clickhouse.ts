import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { type ClickHouseClient, ClickHouseError, ClickHouseLogLevel, createClient } from '@clickhouse/client'
import type { Static, TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import fp from 'fastify-plugin'
import { defineProblem, unavailable } from '../errors.ts'

const queryTooExpensive = defineProblem('query.too_expensive', 422, 'The query needs more than it may use')

/** Whose rows a statement may touch. Bound as parameters, never pasted. */
export interface ProjectScope {
  organizationId: string
  projectId: string
}

export interface QueryResult<Row> {
  rows: Row[]
  /** Server-side elapsed time in milliseconds and rows read, as ClickHouse reports them. */
  stats: { elapsedMs: number; rowsRead: number }
}

/** A SELECT with its parameters and the schema of its rows. */
export interface Statement<S extends TSchema> {
  sql: string
  params?: Record<string, unknown>
  schema: S
}

export type ClickHouse = ReturnType<typeof createClickHouse>

declare module 'fastify' {
  interface FastifyInstance {
    clickhouse: ClickHouse
  }
}

/** Hard limits of one analyst's query: past them ClickHouse stops and the caller gets 422 `query.too_expensive`. */
const QUERY_LIMITS = {
  max_execution_time: 20,
  max_memory_usage: '2000000000',
  max_rows_to_read: '500000000',
  max_result_rows: '100000',
  result_overflow_mode: 'throw',
  // 2 and not 1: the statement may not write, but the other limits of this list may still be set.
  readonly: '2',
  // Safe because the partition is a function of the sort key, see clickhouse/0001_events.sql.
  do_not_merge_across_partitions_select_final: 1,
} as const

/** TIMEOUT_EXCEEDED, TOO_MANY_ROWS, MEMORY_LIMIT_EXCEEDED, TOO_MANY_BYTES, TOO_MANY_ROWS_OR_BYTES. */
const LIMIT_CODES = new Set(['159', '158', '241', '307', '396'])

export function createClickHouse({ url }: { url: string }) {
  const client: ClickHouseClient = createClient({
    url,
    application: 'meterhouse',
    // Whoever called logs the failure with what it means for the caller.
    log: { level: ClickHouseLogLevel.OFF },
    // Long lists of parameters travel in the body; a URL has a limit.
    use_multipart_params_auto: true,
    request_timeout: 30_000,
    max_open_connections: 20,
    keep_alive: { enabled: true, idle_socket_ttl: 2500 },
  })

  async function select<S extends TSchema>(
    statement: Statement<S>,
    scope: Record<string, string>,
  ): Promise<QueryResult<Static<S>>> {
    for (const placeholder of Object.keys(scope).map((name) => `{${name}:String}`)) {
      if (!statement.sql.includes(placeholder)) throw new Error(`a ClickHouse statement lacks the scope ${placeholder}`)
    }
    const startedAt = performance.now()
    try {
      const result = await client.query({
        query: statement.sql,
        query_params: { ...statement.params, ...scope },
        format: 'JSON',
        clickhouse_settings: { ...QUERY_LIMITS, output_format_json_quote_64bit_integers: 0 },
      })
      const body = await result.json<unknown>()
      const rows = body.data.map((row) => Value.Parse(['Assert'], statement.schema, row))
      const elapsedMs = body.statistics ? body.statistics.elapsed * 1000 : performance.now() - startedAt
      return { rows, stats: { elapsedMs, rowsRead: body.statistics?.rows_read ?? 0 } }
    } catch (error) {
      throw toProblem(error)
    }
  }

  return {
    client,

    /**
     * Runs one SELECT for one project. The statement must bind {organizationId:String} and {projectId:String} itself: one that
     * forgets is a defect and throws before it is sent. Every row is parsed by `schema`.
     */
    query: <S extends TSchema>(scope: ProjectScope, statement: Statement<S>): Promise<QueryResult<Static<S>>> =>
      select(statement, { organizationId: scope.organizationId, projectId: scope.projectId }),

    /** The same for all projects of one organization: the statement must bind {organizationId:String}. */
    queryOrganization: <S extends TSchema>(
      organizationId: string,
      statement: Statement<S>,
    ): Promise<QueryResult<Static<S>>> => select(statement, { organizationId }),

    /** Sends rows in RowBinary as one INSERT. Settings go into the statement, so that none can outlive it on a pooled session. */
    async insertRows(
      table: string,
      columns: readonly string[],
      chunks: Iterable<Buffer>,
      settings: Record<string, string | number>,
    ) {
      const clause = Object.entries(settings).map(
        ([name, value]) => `${name} = ${typeof value === 'number' ? value : quote(value)}`,
      )
      const { stream } = await client.exec({
        query: `INSERT INTO ${table} (${columns.join(', ')}) SETTINGS ${clause.join(', ')} FORMAT RowBinary`,
        values: Readable.from(chunks, { objectMode: false }),
        clickhouse_settings: { wait_end_of_query: 1 },
      })
      await finished(stream.resume())
    },

    /** The migrations that have run in this database, empty where none ever did. */
    async appliedMigrations(): Promise<{ name: string; hash: string }[]> {
      const exists = await client.query({ query: 'EXISTS TABLE schema_migrations', format: 'JSONEachRow' })
      const [answer] = await exists.json<{ result: number }>()
      if (!answer?.result) return []
      return (await client.query({ query: 'SELECT name, hash FROM schema_migrations', format: 'JSONEachRow' })).json()
    },

    async ping(): Promise<void> {
      const result = await client.ping()
      if (!result.success) throw result.error
    },

    close: () => client.close(),
  }
}

const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`

function toProblem(error: unknown): unknown {
  if (error instanceof ClickHouseError) {
    if (!LIMIT_CODES.has(error.code)) return error
    return queryTooExpensive('Narrow the time range, add a filter or drop a breakdown.', { cause: error })
  }
  if (error instanceof Error && 'code' in error)
    return unavailable('The event store does not answer.', { cause: error })
  return error
}

export default fp(
  async (app, options: { url: string }) => {
    const clickhouse = createClickHouse(options)
    app.decorate('clickhouse', clickhouse)
    app.addHook('onClose', () => clickhouse.close())
  },
  { name: 'clickhouse' },
)
