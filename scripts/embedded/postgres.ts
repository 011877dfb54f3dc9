import { join } from 'node:path'
import pg from 'pg'
import { openServiceDirectory } from './data-directory.ts'
import { rememberedPort } from './ports.ts'
import { cleanEnvironment, findPostgresBinary } from './postgres-binary.ts'
import { type ClusterOptions, makeCluster, makeRolesAndDatabase } from './postgres-cluster.ts'
import { disarmStaleLock } from './postmaster-lock.ts'
import { type SupervisedProcess, type Surroundings, superviseProcess } from './supervised-process.ts'

export interface EmbeddedPostgres extends SupervisedProcess {
  port: number
  /** True when the cluster was made by this start, and so holds nobody's data. */
  isNew: boolean
  /** Superuser on the database `postgres`. */
  adminUrl: string
  /** The owner of the schema on the database `meterhouse`. */
  ownerUrl: string
  /** The server's role on the database `meterhouse`. */
  appUrl: string
}

export interface PostgresOptions extends Surroundings, ClusterOptions {
  directory: string
}

/** A "fast" stop: sessions are ended, everything is written down. */
const stopSignal = 'SIGINT'

/** Starts a private PostgreSQL on a loopback port and keeps it running; makes roles and database at the first start. */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const binary = findPostgresBinary()
  const directory = await openServiceDirectory(options.directory, stopSignal)
  const cluster = join(directory.path, 'cluster')
  if (directory.isNew) await makeCluster(binary, directory, cluster, options)
  else disarmStaleLock(cluster)
  const port = await rememberedPort(join(directory.path, 'port'))
  const { postgresSuperuser, postgresOwner, postgresApp } = options.secrets
  const url = (user: string, password: string, database: string) =>
    `postgres://${user}:${password}@127.0.0.1:${port}/${database}`
  const adminUrl = url('postgres', postgresSuperuser, 'postgres')
  const supervised = await superviseProcess(
    {
      name: 'PostgreSQL',
      command: [...binary.command('postgres'), '-D', cluster, ...serverSettings(port, options)],
      workingDirectory: '/',
      environment: cleanEnvironment(),
      logFile: join(directory.path, 'postgres.log'),
      pidFile: directory.pidFile,
      stopSignal,
      stopTimeoutMs: 5000,
      readyTimeoutMs: 60_000,
      isReady: () => answers(adminUrl),
    },
    options,
  )
  const service = {
    ...supervised,
    port,
    isNew: directory.isNew,
    adminUrl,
    ownerUrl: url('meterhouse_owner', postgresOwner, 'meterhouse'),
    appUrl: url('meterhouse_app', postgresApp, 'meterhouse'),
  }
  if (!directory.isNew) return service
  try {
    await makeRolesAndDatabase(adminUrl, options.secrets)
    directory.markComplete()
    return service
  } catch (error) {
    await service.stop()
    throw error
  }
}

function serverSettings(port: number, { durability }: PostgresOptions): string[] {
  const settings: Record<string, string | number> = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    timezone: 'UTC',
    log_timezone: 'UTC',
    shared_buffers: '64MB',
    max_connections: durability === 'throwaway' ? 200 : 100,
    max_wal_size: '256MB',
    min_wal_size: '64MB',
    wal_level: 'minimal',
    max_wal_senders: 0,
    max_worker_processes: 4,
    max_logical_replication_workers: 0,
    autovacuum_max_workers: 2,
    jit: 'off',
    io_method: 'sync',
    password_encryption: 'scram-sha-256',
    ...(durability === 'throwaway' ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' } : {}),
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 })
  client.on('error', () => {
    // A server that is going away mid-handshake is one that is not ready.
  })
  await client.connect()
  await client.end()
  return true
}
