import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import type { ClickHouse } from './clickhouse.ts'
import type { Postgres } from './postgres.ts'

export const POSTGRES_MIGRATIONS_FOLDER = fileURLToPath(new URL('../../migrations', import.meta.url))
const CLICKHOUSE_MIGRATIONS_FOLDER = new URL('../../clickhouse/', import.meta.url)

export interface ClickHouseMigration {
  name: string
  sql: string
  /** SHA-256 of the text, hex: a migration that was edited after it ran is noticed. */
  hash: string
}

/** The numbered statements of `clickhouse/`, in order, one object per file. */
export async function clickHouseMigrations(): Promise<ClickHouseMigration[]> {
  const names = (await readdir(CLICKHOUSE_MIGRATIONS_FOLDER)).filter((name) => name.endsWith('.sql')).sort()
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(new URL(name, CLICKHOUSE_MIGRATIONS_FOLDER), 'utf8')
      return { name, sql, hash: createHash('sha256').update(sql).digest('hex') }
    }),
  )
}

/** Names of the migrations that this version of the server has and the databases have not. Empty means: ready to serve. */
export async function pendingMigrations(postgres: Postgres, clickhouse: ClickHouse): Promise<string[]> {
  const [{ migrations }, applied] = await Promise.all([postgres.inspect(), clickhouse.appliedMigrations()])
  const inPostgres = new Set(migrations)
  const inClickHouse = new Set(applied.map((row) => row.hash))
  const expected = readMigrationFiles({ migrationsFolder: POSTGRES_MIGRATIONS_FOLDER })
  return [
    ...expected.filter(({ hash }) => !inPostgres.has(hash)).map(({ folderMillis }) => `postgres ${folderMillis}`),
    ...(await clickHouseMigrations())
      .filter(({ hash }) => !inClickHouse.has(hash))
      .map(({ name }) => `clickhouse ${name}`),
  ]
}
