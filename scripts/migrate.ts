// Brings both databases to the version of this checkout. In production: METERHOUSE_POSTGRES_OWNER_URL=… npm run migrate.
import { createClient } from '@clickhouse/client'
import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate as migratePostgresSchema } from 'drizzle-orm/node-postgres/migrator'
import pg from 'pg'
import { createClickHouse } from '../src/infra/clickhouse.ts'
import { clickHouseMigrations, POSTGRES_MIGRATIONS_FOLDER } from '../src/infra/migrations.ts'

interface MigrateOptions {
  /** As the role that owns the schema. */
  postgresOwnerUrl: string
  /** With the database in its path; the database is made when it is missing. */
  clickhouseUrl: string
}

/** Applies what is missing and resolves to the names of what was applied. Several may run at once; one waits for the other. */
export async function migrate(options: MigrateOptions): Promise<{ postgres: string[]; clickhouse: string[] }> {
  const client = new pg.Client({ connectionString: options.postgresOwnerUrl })
  await client.connect()
  try {
    // The lock also serializes the ClickHouse part, which has none of its own. It ends with the connection.
    await client.query(`select pg_advisory_lock(hashtext('meterhouse migrations'))`)
    return { postgres: await migratePostgres(client), clickhouse: await migrateClickHouse(options.clickhouseUrl) }
  } finally {
    await client.end()
  }
}

async function migratePostgres(client: pg.Client): Promise<string[]> {
  const journal = async () => {
    const { rows } = await client.query<{ exists: boolean }>(
      `select to_regclass('drizzle.__drizzle_migrations') is not null as exists`,
    )
    if (!rows[0]?.exists) return []
    return (await client.query<{ hash: string }>('select hash from drizzle.__drizzle_migrations order by created_at'))
      .rows
  }
  const before = new Set((await journal()).map((row) => row.hash))
  await migratePostgresSchema(drizzle(client), { migrationsFolder: POSTGRES_MIGRATIONS_FOLDER })
  return (await journal()).map((row) => row.hash).filter((hash) => !before.has(hash))
}

async function migrateClickHouse(url: string): Promise<string[]> {
  const address = new URL(url)
  const database = address.pathname.slice(1) || 'default'
  address.pathname = ''
  const client = createClient({ url: address, application: 'meterhouse-migrate' })
  await client.command({
    query: 'CREATE DATABASE IF NOT EXISTS {database:Identifier}',
    query_params: { database },
  })
  await client.close()

  const clickhouse = createClickHouse({ url })
  try {
    const applied = new Map((await clickhouse.appliedMigrations()).map((row) => [row.name, row.hash]))
    if (applied.size === 0) {
      await clickhouse.client.command({
        query: `CREATE TABLE IF NOT EXISTS schema_migrations (name String, hash String, applied_at DateTime DEFAULT now())
                ENGINE = MergeTree ORDER BY name`,
      })
    }
    const done: string[] = []
    for (const { name, sql, hash } of await clickHouseMigrations()) {
      const known = applied.get(name)
      if (known === hash) continue
      if (known !== undefined) throw new Error(`clickhouse/${name} was edited after it ran; add a new file instead`)
      await clickhouse.client.command({ query: sql })
      await clickhouse.client.insert({ table: 'schema_migrations', values: [{ name, hash }], format: 'JSONEachRow' })
      done.push(name)
    }
    return done
  } finally {
    await clickhouse.close()
  }
}

if (import.meta.main) {
  const { METERHOUSE_POSTGRES_OWNER_URL, METERHOUSE_CLICKHOUSE_URL } = process.env
  if (!METERHOUSE_POSTGRES_OWNER_URL || !METERHOUSE_CLICKHOUSE_URL) {
    console.error('Set METERHOUSE_POSTGRES_OWNER_URL and METERHOUSE_CLICKHOUSE_URL.')
    process.exit(1)
  }
  const { postgres, clickhouse } = await migrate({
    postgresOwnerUrl: METERHOUSE_POSTGRES_OWNER_URL,
    clickhouseUrl: METERHOUSE_CLICKHOUSE_URL,
  })
  console.log(`Applied ${postgres.length} Postgres and ${clickhouse.length} ClickHouse migrations.`)
}
