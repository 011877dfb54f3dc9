import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../embedded/ports.ts'
import { answersOk } from '../embedded/probes.ts'
import { runProjectScript } from '../embedded/project-script.ts'
import { startServices } from '../embedded/services.ts'
import { migrate } from '../migrate.ts'

const SERVER = fileURLToPath(new URL('../../src/server.ts', import.meta.url))

export interface Stack {
  port: number
  barePort: number
  writeKey: string
  apiKey: string
  projectId: string
  pids: Record<'api' | 'redis' | 'clickhouse' | 'sink', number>
  stop: () => Promise<void>
}

/** Meterhouse as it runs in production, each part in a process of its own, and the bare server beside it. */
export async function startStack(): Promise<Stack> {
  const directory = mkdtempSync(join(tmpdir(), 'mh-bench-'))
  const children: ChildProcess[] = []
  const services = await startServices({
    dataDirectory: directory,
    wanted: new Set(['postgres', 'clickhouse', 'redis', 'ingestRedis']),
    log: (line) => console.error(line),
  })
  async function stop(): Promise<void> {
    for (const child of children) child.kill('SIGKILL')
    await services.stop()
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    const { postgres, clickhouse, redis, ingestRedis } = services
    if (!postgres || !clickhouse || !redis || !ingestRedis) throw new Error('a service is missing')
    const clickhouseUrl = `${clickhouse.url}/meterhouse`
    await migrate({ postgresOwnerUrl: postgres.ownerUrl, clickhouseUrl })
    const environment = {
      ...process.env,
      METERHOUSE_MODE: 'development',
      METERHOUSE_POSTGRES_URL: postgres.appUrl,
      METERHOUSE_CLICKHOUSE_URL: clickhouseUrl,
      METERHOUSE_REDIS_URL: redis.url,
      METERHOUSE_INGEST_REDIS_URL: ingestRedis.url,
      METERHOUSE_SMTP_URL: 'smtp://127.0.0.1:1',
      METERHOUSE_LOG_FORMAT: 'json',
      METERHOUSE_INGEST_EVENTS_PER_SECOND: '10000000',
      METERHOUSE_API_REQUESTS_PER_MINUTE: '100000',
    }
    const seeded = JSON.parse((await runProjectScript('seed.ts', environment)).split('\n').at(-1) ?? '')
    const log = openSync(join(directory, 'server.log'), 'a')
    const start = async (roles: string) => {
      const port = await freePort()
      const child = spawn(process.execPath, [SERVER], {
        env: { ...environment, METERHOUSE_ROLES: roles, PORT: String(port) },
        stdio: ['ignore', log, log],
      })
      children.push(child)
      const deadline = Date.now() + 30_000
      while (!(await answersOk(`http://127.0.0.1:${port}/health/ready`))) {
        if (Date.now() > deadline) throw new Error(`the process with the roles ${roles} did not start`)
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      return { port, pid: child.pid as number }
    }
    const [api, sink] = [await start('api'), await start('sink,jobs')]
    const bare = fork(fileURLToPath(new URL('bare-server.ts', import.meta.url)))
    children.push(bare)
    const failed = once(bare, 'exit').then(() => Promise.reject(new Error('the bare server did not start')))
    failed.catch(() => {
      // It also ends at the end, which is no failure.
    })
    const [{ port: barePort }] = (await Promise.race([once(bare, 'message'), failed])) as [{ port: number }]
    const pids = { api: api.pid, redis: ingestRedis.pid() ?? 0, clickhouse: clickhouse.pid() ?? 0, sink: sink.pid }
    const { writeKey, apiKey, projectId } = seeded
    return { port: api.port, barePort, writeKey, apiKey, projectId, pids, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
