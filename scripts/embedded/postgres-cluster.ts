import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import pg from 'pg'
import type { Secrets, ServiceDirectory } from './data-directory.ts'
import { cleanEnvironment, type PostgresBinary } from './postgres-binary.ts'
import { logTail, type ProcessCommand, runProcess } from './running-process.ts'

export interface ClusterOptions {
  secrets: Pick<Secrets, 'postgresSuperuser' | 'postgresOwner' | 'postgresApp'>
  /** `throwaway` gives up durability for speed: for data that is deleted when the process ends. */
  durability: 'durable' | 'throwaway'
}

/** Makes the files of a new cluster in an empty directory. */
export async function makeCluster(
  binary: PostgresBinary,
  directory: ServiceDirectory,
  cluster: string,
  { secrets, durability }: ClusterOptions,
): Promise<void> {
  mkdirSync(cluster, { mode: 0o700 })
  const passwordFile = join(directory.path, 'password')
  writeFileSync(passwordFile, secrets.postgresSuperuser, { mode: 0o600 })
  if (binary.owner) {
    // The other user must be able to walk to its data, though not to list or read what lies on the way.
    chmodSync(dirname(directory.path), 0o711)
    for (const path of [directory.path, cluster, passwordFile]) chownSync(path, binary.owner.uid, binary.owner.gid)
  }
  const initdb: ProcessCommand = {
    name: 'initdb',
    command: [
      ...binary.command('initdb'),
      `--pgdata=${cluster}`,
      '--username=postgres',
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      // PostgreSQL's own C.UTF-8 sorts the same on every system, whatever its C library knows.
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      ...(durability === 'throwaway' ? ['--no-sync'] : []),
    ],
    environment: cleanEnvironment(),
    workingDirectory: '/',
    logFile: join(directory.path, 'initdb.log'),
    pidFile: directory.pidFile,
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 2000,
  }
  const running = runProcess(initdb)
  await running.exited
  rmSync(passwordFile)
  if (!running.hasSucceeded())
    throw new Error(`The PostgreSQL cluster could not be made: ${running.ending()}${logTail(initdb)}`)
}

/** Makes the roles, with passwords of their own, and the empty database that the migrations fill. */
export async function makeRolesAndDatabase(adminUrl: string, secrets: ClusterOptions['secrets']): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl })
  await client.connect()
  try {
    await client.query(readFileSync(new URL('../../migrations/roles.sql', import.meta.url), 'utf8'))
    await client.query(`ALTER ROLE meterhouse_owner PASSWORD ${client.escapeLiteral(secrets.postgresOwner)}`)
    await client.query(`ALTER ROLE meterhouse_app PASSWORD ${client.escapeLiteral(secrets.postgresApp)}`)
    await client.query('CREATE DATABASE meterhouse OWNER meterhouse_owner')
  } finally {
    await client.end()
  }
}
