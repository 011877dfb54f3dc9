import { sql } from 'drizzle-orm'
import type { FastifyInstance } from 'fastify'
import type { Config } from './config.ts'
import { pendingMigrations } from './infra/migrations.ts'

/**
 * What must be true before the first request: returns every fault, one line each. Unapplied migrations and a missing default plan
 * always count; a database role that could step over the walls and a buffer that could forget count in production mode.
 */
export async function bootFaults(app: FastifyInstance, config: Config): Promise<string[]> {
  const pending = (await pendingMigrations(app.postgres, app.clickhouse)).map(
    (name) => `the migration ${name} has not been applied; run npm run migrate`,
  )
  const isProduction = config.mode === 'production'
  const faults = isProduction ? [...pending, ...(await roleFaults(app)), ...(await bufferFaults(app, config))] : pending
  // Only a database that is as it should be can be asked.
  return faults.length > 0 ? faults : planFaults(app, config)
}

/** Without it nobody could make an organization. */
async function planFaults(app: FastifyInstance, { billing: { defaultPlanKey } }: Config): Promise<string[]> {
  const { rows } = await app.postgres.withSystem((tx) =>
    tx.execute(sql`select 1 from plan_versions where plan_key = ${defaultPlanKey} limit 1`),
  )
  return rows.length > 0 ? [] : [`METERHOUSE_DEFAULT_PLAN is ${defaultPlanKey}, and there is no such plan`]
}

async function roleFaults(app: FastifyInstance): Promise<string[]> {
  const { role } = await app.postgres.inspect()
  const powers = [
    role?.superuser && 'is or may become a superuser',
    role?.bypassesRls && 'bypasses row-level security',
    role?.ownsTables && 'owns the tables and could take their walls down',
  ]
  return powers
    .filter((power) => power)
    .map((power) => `METERHOUSE_POSTGRES_URL signs in as ${role?.name}, which ${power}; use meterhouse_app`)
}

const BUFFER_SETTINGS = { appendonly: 'yes', appendfsync: 'always', 'maxmemory-policy': 'noeviction' }

async function bufferFaults(app: FastifyInstance, config: Config): Promise<string[]> {
  const faults: string[] = []
  for (const [name, expected] of Object.entries(BUFFER_SETTINGS)) {
    const [, actual] = await app.ingestRedis.config('GET', name).catch(() => [] as unknown[])
    if (actual === undefined)
      app.log.warn({ setting: name }, 'the buffer does not let its settings be read; check it by hand')
    else if (actual !== expected)
      faults.push(`METERHOUSE_INGEST_REDIS_URL has ${name} ${actual}; it must be ${expected}`)
  }
  const [, maxmemory] = await app.ingestRedis.config('GET', 'maxmemory').catch(() => [] as unknown[])
  if (maxmemory === '0' && config.ingest.bufferBytesMax === 0)
    app.log.warn(
      'the buffer has no memory limit: set maxmemory, or METERHOUSE_BUFFER_BYTES_MAX, or it may take all there is',
    )
  return faults
}
