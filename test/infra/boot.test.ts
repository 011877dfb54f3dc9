import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { createClient } from '@clickhouse/client'
import pg from 'pg'
import t, { type Test } from 'tap'
import { createRedis } from '../../src/infra/redis.ts'
import { startTestServices } from '../helpers/services.ts'

const SERVER = fileURLToPath(new URL('../../src/server.ts', import.meta.url))
const { environment, postgresAdminUrl, postgresOwnerUrl, config } = await startTestServices(t, {
  METERHOUSE_MODE: 'production',
  METERHOUSE_JWT_SECRET: randomBytes(24).toString('hex'),
})
const START_TIMEOUT_MS = 30_000
const name = `boot_${randomBytes(6).toString('hex')}`

interface Ending {
  code: number | null
  errors: string
}

/** Runs the server as production does, with nothing of this process's environment. */
function startServer(
  t: Test,
  overrides: Record<string, string>,
): { child: ChildProcess; output: Promise<string>; ending: Promise<Ending> } {
  const child = spawn(process.execPath, [SERVER], {
    env: { PATH: process.env.PATH, ...environment, ...overrides },
    stdio: ['ignore', 'pipe', 'pipe'],
    // One that starts although it should not would run for ever.
    timeout: START_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  })
  t.teardown(() => child.kill('SIGKILL'))
  const output = text(child.stdout)
  const errors = text(child.stderr)
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  return { child, output, ending: Promise.all([ended, errors]).then(([code, errors]) => ({ code, errors })) }
}

/** The faults that the server names when it refuses to start. */
async function refusal(t: Test, overrides: Record<string, string>): Promise<string[]> {
  const { code, errors } = await startServer(t, overrides).ending
  t.equal(code, 1, errors)
  t.match(errors, /^(Meterhouse does not start|The configuration is not valid):\n/, 'says so, and shows no stack')
  return errors
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.replace(/^ {2}- /, ''))
}

async function asAdmin(...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: postgresAdminUrl })
  await client.connect()
  for (const statement of statements) await client.query(statement)
  await client.end()
}

const url = (base: string, change: (url: URL) => void) => {
  const changed = new URL(base)
  change(changed)
  return changed.href
}

t.test('a production server starts on what it asks for, and stops when it is told to', async (t) => {
  const { child, ending } = startServer(t, { METERHOUSE_LOG_LEVEL: 'info' })
  const address = await new Promise<string>((resolve, reject) => {
    child.stdout?.on('data', (chunk) => {
      const [found] = String(chunk).match(/http:\/\/[\d.]+:\d+/) ?? []
      if (found) resolve(found)
    })
    child.once('exit', () => reject(new Error('the server ended')))
  })
  const ready = await fetch(`${address}/health/ready`)
  t.equal(ready.status, 200, await ready.text())
  child.kill('SIGTERM')
  t.match(await ending, { code: 0, errors: '' })
})

t.test('no server starts on a configuration with faults', async (t) => {
  t.match(await refusal(t, { METERHOUSE_JWT_SECRET: '', PORT: 'http', METERHOUSE_POSTGRES_URL: '' }), [
    'METERHOUSE_POSTGRES_URL is required',
    /^PORT: /,
    /^METERHOUSE_JWT_SECRET must be set/,
  ])
})

t.test('no server starts on a default plan that is not there', async (t) => {
  t.same(await refusal(t, { METERHOUSE_DEFAULT_PLAN: 'nothing' }), [
    'METERHOUSE_DEFAULT_PLAN is nothing, and there is no such plan',
  ])
})

t.test('production does not start as a superuser', async (t) => {
  t.match(await refusal(t, { METERHOUSE_POSTGRES_URL: postgresAdminUrl }), [
    /^METERHOUSE_POSTGRES_URL signs in as postgres, which is or may become a superuser/,
    /^METERHOUSE_POSTGRES_URL .* bypasses row-level security/,
    /^METERHOUSE_POSTGRES_URL .* owns the tables/,
  ])
})

t.test('production does not start as a role that bypasses row-level security, or that may become one', async (t) => {
  await asAdmin(
    `create role ${name}_bypass login bypassrls password 'test'`,
    `create role ${name}_member login password 'test'`,
    `grant ${name}_bypass to ${name}_member`,
    `grant select on drizzle.__drizzle_migrations to ${name}_bypass, ${name}_member`,
    `grant usage on schema drizzle to ${name}_bypass, ${name}_member`,
  )
  t.teardown(() => asAdmin(`drop owned by ${name}_member, ${name}_bypass`, `drop role ${name}_member, ${name}_bypass`))
  for (const role of [`${name}_bypass`, `${name}_member`]) {
    const signedIn = url(postgresAdminUrl, (url) => Object.assign(url, { username: role, password: 'test' }))
    t.match(await refusal(t, { METERHOUSE_POSTGRES_URL: signedIn }), [
      new RegExp(`${role}, which bypasses row-level security`),
    ])
  }
})

t.test('production does not start as the owner of the tables', async (t) => {
  t.match(await refusal(t, { METERHOUSE_POSTGRES_URL: postgresOwnerUrl }), [/meterhouse_owner, which owns the tables/])
})

t.test('no server starts on databases without its migrations, in development neither', async (t) => {
  await asAdmin(`create database ${name}`)
  t.teardown(() => asAdmin(`drop database ${name} with (force)`))
  const clickhouse = createClient({ url: config.clickhouse.url })
  t.teardown(() => clickhouse.close())
  await clickhouse.command({ query: `CREATE DATABASE ${name}` })
  t.teardown(() => clickhouse.command({ query: `DROP DATABASE ${name} SYNC` }))
  const postgres = {
    METERHOUSE_POSTGRES_URL: url(config.postgres.url, (url) => Object.assign(url, { pathname: name })),
  }
  const events = {
    METERHOUSE_CLICKHOUSE_URL: url(config.clickhouse.url, (url) => Object.assign(url, { pathname: name })),
  }
  t.match(await refusal(t, postgres), [/^the migration postgres \d+ has not been applied; run npm run migrate/])
  const faults = await refusal(t, { ...postgres, ...events, METERHOUSE_MODE: 'development' })
  t.match(faults.at(0), /^the migration postgres \d+ /)
  t.match(faults.at(-1), /^the migration clickhouse \d{4}_\w+\.sql has not been applied/)
})

t.test('production does not start on a buffer that could forget, and names each setting', async (t) => {
  const redis = createRedis(config.redis.ingestUrl)
  t.teardown(() => redis.disconnect())
  await new Promise((resolve) => redis.once('ready', resolve))
  await redis.config('SET', 'appendfsync', 'everysec')
  await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
  t.same(await refusal(t, {}), [
    'METERHOUSE_INGEST_REDIS_URL has appendfsync everysec; it must be always',
    'METERHOUSE_INGEST_REDIS_URL has maxmemory-policy allkeys-lru; it must be noeviction',
  ])
})
