import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { redisOptions } from '../../src/infra/redis.ts'
import type { EmbeddedClickhouse } from '../embedded/clickhouse.ts'
import type { EmbeddedPostgres } from '../embedded/postgres.ts'
import type { EmbeddedRedis } from '../embedded/redis.ts'
import { startServices } from '../embedded/services.ts'
import { migrate } from '../migrate.ts'
import { createOrganization } from './organizations.ts'
import { prepareForgetting } from './power.ts'
import { type Link, openLink } from './proxy.ts'
import { openSlot, type ServerSlot } from './server-slot.ts'

interface Services {
  postgres: EmbeddedPostgres
  clickhouse: EmbeddedClickhouse
  redis: EmbeddedRedis
  ingestRedis: EmbeddedRedis
}
export type ServiceName = keyof Services

/** Everything that can be killed, and the wires between. */
export type Stack = Awaited<ReturnType<typeof startStack>>

export interface Member {
  slot: ServerSlot
  /** The wires of this process alone. */
  buffer: Link
  store: Link
}

type CleanUp = (() => unknown)[]

const API_PROCESSES = 2
const SINK_PROCESSES = 2
/** Short, so that what is stored leaves the buffer within a scenario. */
const TAIL_SECONDS = 5
/** The rig kills often; a supervisor that waited longer each time would only slow it down. */
const RESTART_PAUSE_MAX_MS = 200
const DIRECT_RETRY_MS = 50
export const SHARDS = 2

/** Services and servers of the rig's own in a temporary directory; `stop` ends and removes all of it. */
export async function startStack(log: (line: string) => void, skip: (reason: string) => void) {
  // A short name: unix sockets lie below it, and their paths may have about 100 bytes.
  const directory = mkdtempSync(join(tmpdir(), 'mh-faults-'))
  const cleanUp: CleanUp = [() => rmSync(directory, { recursive: true, force: true, maxRetries: 10 })]
  const stop = async () => {
    for (const step of cleanUp.splice(0).reverse()) await step()
  }
  try {
    const reason = prepareForgetting(directory)
    if (reason) skip(reason)
    const services = await startAllServices(directory, cleanUp)
    const clickhouseUrl = `${services.clickhouse.url}/meterhouse`
    await migrate({ postgresOwnerUrl: services.postgres.ownerUrl, clickhouseUrl })
    // One organization for each shard, so that both sinks work.
    const organizations = await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) => createOrganization(services.postgres.appUrl, shard, SHARDS)),
    )
    return {
      directory,
      services,
      clickhouseUrl,
      /** A connection past the wires. */
      buffer: connectDirectly(services.ingestRedis, cleanUp),
      organizations,
      ...(await startServers(directory, services, cleanUp, log)),
      pidOf: (name: ServiceName) => services[name].pid(),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startAllServices(dataDirectory: string, cleanUp: CleanUp): Promise<Services> {
  const services = await startServices({
    dataDirectory,
    wanted: new Set(['postgres', 'clickhouse', 'redis', 'ingestRedis']),
    log: () => {},
    restartPauseMaxMs: RESTART_PAUSE_MAX_MS,
  })
  cleanUp.push(services.stop)
  const { postgres, clickhouse, redis, ingestRedis } = services
  if (!postgres || !clickhouse || !redis || !ingestRedis) throw new Error('a wanted service is missing')
  return { postgres, clickhouse, redis, ingestRedis }
}

/** What the rig itself asks waits for Redis to be back. */
function connectDirectly({ url }: EmbeddedRedis, cleanUp: CleanUp): Redis {
  const direct = new Redis({
    ...redisOptions(url),
    maxRetriesPerRequest: null,
    retryStrategy: () => DIRECT_RETRY_MS,
  })
  direct.on('error', () => {
    // The rig kills it.
  })
  cleanUp.push(() => direct.disconnect())
  return direct
}

/** Server processes by role, each with wires of its own to the buffer and the store. */
async function startServers(directory: string, services: Services, cleanUp: CleanUp, log: (line: string) => void) {
  const { postgres, clickhouse, redis, ingestRedis } = services
  const environment = {
    METERHOUSE_MODE: 'development',
    METERHOUSE_LOG_LEVEL: 'info',
    METERHOUSE_LOG_FORMAT: 'json',
    METERHOUSE_POSTGRES_URL: postgres.appUrl,
    METERHOUSE_REDIS_URL: redis.url,
    METERHOUSE_SMTP_URL: 'smtp://127.0.0.1:1',
    METERHOUSE_JWT_SECRET: randomBytes(24).toString('hex'),
    METERHOUSE_SHARDS: String(SHARDS),
    METERHOUSE_BUFFER_TAIL_SECONDS: String(TAIL_SECONDS),
    METERHOUSE_API_REQUESTS_PER_MINUTE: '1000000',
  }
  const start = async (name: string, roles: string): Promise<Member> => {
    const buffer = await openLink(`${name}→buffer`, { path: ingestRedis.socketPath })
    const store = await openLink(`${name}→store`, { host: '127.0.0.1', port: clickhouse.port })
    cleanUp.push(buffer.close, store.close)
    const urls = {
      METERHOUSE_ROLES: roles,
      METERHOUSE_INGEST_REDIS_URL: `redis://:${ingestRedis.password}@127.0.0.1:${buffer.port}`,
      METERHOUSE_CLICKHOUSE_URL: Object.assign(new URL('/meterhouse', clickhouse.url), { port: store.port }).href,
    }
    const slot = await openSlot(name, directory, { ...environment, ...urls }, log)
    cleanUp.push(slot.stop)
    return { slot, buffer, store }
  }
  const many = (count: number, role: string) =>
    Promise.all(Array.from({ length: count }, (_, index) => start(`${role}-${index + 1}`, role)))
  const [apis, sinks, jobs] = await Promise.all([
    many(API_PROCESSES, 'api'),
    many(SINK_PROCESSES, 'sink'),
    many(1, 'jobs'),
  ])
  return { apis, sinks, jobs, members: [...apis, ...sinks, ...jobs] }
}
