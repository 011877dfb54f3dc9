import { join } from 'node:path'
import { startClickhouse } from './clickhouse.ts'
import { openSecrets } from './data-directory.ts'
import { startMailbox } from './mailbox.ts'
import { startPostgres } from './postgres.ts'
import { startRedis } from './redis.ts'
import type { RedisBinary } from './redis-binary.ts'
import { provideRedisBinary } from './redis-install.ts'
import type { SupervisedProcess, Surroundings } from './supervised-process.ts'

export type ServiceName = 'postgres' | 'clickhouse' | 'redis' | 'ingestRedis' | 'mailbox'

export interface ServicesOptions extends Surroundings {
  dataDirectory: string
  wanted: ReadonlySet<ServiceName>
  /** Called for each service as it becomes ready. */
  onReady?: (name: ServiceName, elapsedMs: number) => void
}

export type Services = Awaited<ReturnType<typeof startServices>>

/** Nothing depends on the mailbox; the buffer goes last, as it is what must not be lost. */
const stopOrder: readonly ServiceName[] = ['mailbox', 'clickhouse', 'postgres', 'redis', 'ingestRedis']

/**
 * Starts the wanted services at the same time and resolves when all of them serve. If one fails, the others are
 * stopped again before this rejects.
 */
export async function startServices(options: ServicesOptions) {
  const running = new Map<ServiceName, SupervisedProcess>()
  const startedAt = performance.now()

  async function start<T extends SupervisedProcess>(name: ServiceName, starter: () => Promise<T>) {
    if (!options.wanted.has(name)) return undefined
    const service = await starter()
    running.set(name, service)
    options.onReady?.(name, performance.now() - startedAt)
    return service
  }
  async function stop(): Promise<void> {
    for (const name of stopOrder) await running.get(name)?.stop()
  }
  function kill(): void {
    for (const service of running.values()) service.kill()
  }

  const starting = startEach(options, start)
  await Promise.allSettled(Object.values(starting))
  try {
    return {
      postgres: await starting.postgres,
      clickhouse: await starting.clickhouse,
      redis: await starting.redis,
      ingestRedis: await starting.ingestRedis,
      mailbox: await starting.mailbox,
      stop,
      kill,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

type Start = <T extends SupervisedProcess>(name: ServiceName, starter: () => Promise<T>) => Promise<T | undefined>

function startEach({ dataDirectory, log, signal, restartPauseMaxMs }: ServicesOptions, start: Start) {
  const surroundings = { log, signal, restartPauseMaxMs }
  const secrets = openSecrets(dataDirectory)
  const directory = (name: string) => join(dataDirectory, name)
  let binary: Promise<RedisBinary> | undefined
  const redis = async (purpose: 'general' | 'ingest', password: string) => {
    binary ??= provideRedisBinary(log)
    return startRedis({
      binary: await binary,
      directory: directory(`redis-${purpose}`),
      password,
      purpose,
      ...surroundings,
    })
  }
  return {
    postgres: start('postgres', () =>
      startPostgres({ directory: directory('postgres'), secrets, durability: 'durable', ...surroundings }),
    ),
    clickhouse: start('clickhouse', () =>
      startClickhouse({ directory: directory('clickhouse'), password: secrets.clickhouse, ...surroundings }),
    ),
    redis: start('redis', () => redis('general', secrets.redis)),
    ingestRedis: start('ingestRedis', () => redis('ingest', secrets.ingestRedis)),
    mailbox: start('mailbox', () => startMailbox({ directory: directory('mailbox'), ...surroundings })),
  }
}
