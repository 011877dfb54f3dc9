import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '@clickhouse/client'
import pg from 'pg'
import type { Test } from 'tap'
import { type EmbeddedRedis, startRedis } from '../../scripts/embedded/redis.ts'
import { findRedisBinary } from '../../scripts/embedded/redis-binary.ts'
import { migrate } from '../../scripts/migrate.ts'
import { type Config, loadConfig } from '../../src/config.ts'

/** Databases of one test file's own, made of the shared engines, and a Redis of its own. All gone when the test ends. */
export interface TestServices {
  config: Config
  environment: Record<string, string>
  redis: EmbeddedRedis
  postgresOwnerUrl: string
  postgresAdminUrl: string
}

const need = (name: string): string => {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set: run the tests with npm test`)
  return value
}

export async function startTestServices(t: Test, overrides: Record<string, string> = {}): Promise<TestServices> {
  const name = `test_${randomBytes(6).toString('hex')}`
  const [postgres, clickhouseUrl, redis] = await Promise.all([
    createPostgresDatabase(t, name),
    createClickHouseDatabase(t, name),
    startTestRedis(t, name),
  ])
  await migrate({ postgresOwnerUrl: postgres.ownerUrl, clickhouseUrl })
  const environment = {
    PORT: '0',
    METERHOUSE_MODE: 'development',
    METERHOUSE_LOG_LEVEL: 'silent',
    METERHOUSE_POSTGRES_URL: postgres.appUrl,
    METERHOUSE_CLICKHOUSE_URL: clickhouseUrl,
    METERHOUSE_REDIS_URL: redis.url,
    METERHOUSE_INGEST_REDIS_URL: redis.url,
    METERHOUSE_SMTP_URL: 'smtp://127.0.0.1:1',
    METERHOUSE_SINK_FLUSH_INTERVAL_MS: '20',
    METERHOUSE_API_REQUESTS_PER_MINUTE: '1000000',
    METERHOUSE_ORGANIZATION_REQUESTS_PER_MINUTE: '1000000',
    METERHOUSE_FAILED_AUTHENTICATIONS_PER_MINUTE: '1000000',
    ...overrides,
  }
  return {
    config: loadConfig(environment),
    environment,
    redis,
    postgresOwnerUrl: postgres.ownerUrl,
    postgresAdminUrl: postgres.adminUrl,
  }
}

/** A migrated database of a test's own, with the URL of each role. */
export async function createPostgresDatabase(t: Test, name: string) {
  const adminUrl = need('TEST_POSTGRES_ADMIN_URL')
  const admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  await admin.query(`CREATE DATABASE ${name} TEMPLATE ${need('TEST_POSTGRES_TEMPLATE')} OWNER meterhouse_owner`)
  t.teardown(async () => {
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`)
    await admin.end()
  })
  const as = (role: string, password: string) => {
    const url = new URL(adminUrl)
    url.username = role
    url.password = password
    url.pathname = name
    return url.href
  }
  const inDatabase = new URL(adminUrl)
  inDatabase.pathname = name
  return {
    adminUrl: inDatabase.href,
    ownerUrl: as('meterhouse_owner', need('TEST_POSTGRES_OWNER_PASSWORD')),
    appUrl: as('meterhouse_app', need('TEST_POSTGRES_APP_PASSWORD')),
  }
}

async function createClickHouseDatabase(t: Test, name: string): Promise<string> {
  const engineUrl = need('TEST_CLICKHOUSE_URL')
  t.teardown(async () => {
    const client = createClient({ url: engineUrl })
    await client.command({ query: `DROP DATABASE IF EXISTS ${name} SYNC` })
    await client.close()
  })
  const url = new URL(engineUrl)
  url.pathname = name
  return url.href
}

export async function startTestRedis(t: Test, name: string): Promise<EmbeddedRedis> {
  const binary = findRedisBinary()
  if (!binary) throw new Error('there is no redis-server: run the tests with npm test')
  const directory = join(tmpdir(), `mh-${name}`)
  const redis = await startRedis({
    binary,
    directory,
    password: randomBytes(12).toString('hex'),
    purpose: 'ingest',
    log: () => {},
  })
  t.teardown(async () => {
    await redis.stop()
    await rm(directory, { recursive: true, force: true })
  })
  return redis
}
