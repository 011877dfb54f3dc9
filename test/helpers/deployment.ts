import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { startServices } from '../../scripts/embedded/services.ts'
import { migrate } from '../../scripts/migrate.ts'
import { eventually } from './app.ts'

const SERVER = fileURLToPath(new URL('../../src/server.ts', import.meta.url))

/** One server process that can be killed and comes back on the same port. */
export interface ServerProcess {
  baseUrl: string
  kill: () => Promise<void>
  /** Asks it to stop and resolves to its exit code; it stays stopped. */
  stop: () => Promise<number | null>
}

/** Every service durable and in processes of its own, and the server split by role: what a fault test needs to kill one at a time. */
export async function startDeployment(t: Test, overrides: Record<string, string> = {}) {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'mh-deployment-'))
  const services = await startServices({
    dataDirectory,
    wanted: new Set(['postgres', 'clickhouse', 'redis', 'ingestRedis']),
    log: () => {},
  })
  t.teardown(async () => {
    await services.stop()
    await rm(dataDirectory, { recursive: true, force: true })
  })
  const { postgres, clickhouse, redis, ingestRedis } = services
  if (!postgres || !clickhouse || !redis || !ingestRedis) throw new Error('a wanted service is missing')
  const clickhouseUrl = `${clickhouse.url}/meterhouse`
  await migrate({ postgresOwnerUrl: postgres.ownerUrl, clickhouseUrl })
  const environment = {
    METERHOUSE_MODE: 'development',
    METERHOUSE_LOG_LEVEL: process.env.TEST_LOG ?? 'silent',
    METERHOUSE_POSTGRES_URL: postgres.appUrl,
    METERHOUSE_CLICKHOUSE_URL: clickhouseUrl,
    METERHOUSE_REDIS_URL: redis.url,
    METERHOUSE_INGEST_REDIS_URL: ingestRedis.url,
    METERHOUSE_SMTP_URL: 'smtp://127.0.0.1:1',
    METERHOUSE_JWT_SECRET: randomBytes(24).toString('hex'),
    ...overrides,
  }
  return {
    environment,
    services: { postgres, clickhouse, redis, ingestRedis },
    startServer: (roles: string) => startServer(t, { ...environment, METERHOUSE_ROLES: roles }),
  }
}

async function startServer(t: Test, environment: Record<string, string>): Promise<ServerProcess> {
  const port = await freePort()
  const baseUrl = `http://127.0.0.1:${port}`
  let child: ChildProcess
  let ended = false
  const start = () => {
    child = spawn(process.execPath, [SERVER], {
      env: { ...process.env, ...environment, PORT: String(port) },
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    // Whatever ends it, it is started again: a supervisor's work.
    child.once('exit', () => {
      if (!ended) start()
    })
  }
  start()
  t.teardown(() => {
    ended = true
    child.kill('SIGKILL')
  })
  await eventually('the server', async () => (await fetch(`${baseUrl}/health/live`).catch(() => undefined))?.ok, 30_000)
  return {
    baseUrl,
    stop: () =>
      new Promise((resolve) => {
        ended = true
        child.once('exit', (code) => resolve(code))
        child.kill('SIGTERM')
      }),
    kill: () =>
      new Promise((resolve) => {
        child.once('exit', () => resolve())
        child.kill('SIGKILL')
      }),
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => (typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}
