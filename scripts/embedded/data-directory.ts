import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { takeLock } from '../process-lock.js'
import { endLeftover } from './running-process.ts'

export interface DataDirectory {
  path: string
  /** Leaves word for a second launcher of where this one can be reached. */
  announce: (url: string) => void
  close: () => void
}

/** Opens a data directory for this process alone; throws one line that says who has it already. */
export function openDataDirectory(path: string): DataDirectory {
  let lock: ReturnType<typeof takeLock>
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    lock = takeLock(join(path, 'lock'))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`The data directory ${path} cannot be used (METERHOUSE_DATA moves it): ${reason}`, { cause })
  }
  if ('heldBy' in lock) {
    const { note, pid } = lock.heldBy
    throw new Error(`Meterhouse already runs on ${path}: ${note ?? 'it is still starting'} (process ${pid})`)
  }
  return { path, announce: lock.note, close: lock.release }
}

/**
 * Opens the directory of one service, alone: a process that a killed launcher left in it is ended first. A directory
 * without its `complete` mark was being made when the launcher died and never held anybody's data, so it is made anew;
 * one with the mark is never removed.
 */
export async function openServiceDirectory(
  path: string,
  stopSignal: NodeJS.Signals = 'SIGTERM',
): Promise<ServiceDirectory> {
  const mark = join(path, 'complete')
  const pidFile = join(path, 'process.pid')
  const isNew = !existsSync(mark)
  await endLeftover(pidFile, stopSignal)
  if (isNew) rmSync(path, { recursive: true, force: true })
  mkdirSync(path, { recursive: true, mode: 0o700 })
  return { path, pidFile, isNew, markComplete: () => writePrivateFile(mark, `${new Date().toISOString()}\n`) }
}

export interface ServiceDirectory {
  path: string
  /** Names the process that works in the directory. */
  pidFile: string
  isNew: boolean
  /** To be called once the service can be used and before anybody writes to it. */
  markComplete: () => void
}

/** Writes a file that only this user may read, in one step: readers see the old content or the new, never a part. */
export function writePrivateFile(path: string, content: string): void {
  const draft = `${path}.${randomBytes(4).toString('hex')}.tmp`
  writeFileSync(draft, content, { mode: 0o600, flush: true })
  renameSync(draft, path)
}

export interface Secrets {
  postgresSuperuser: string
  postgresOwner: string
  postgresApp: string
  clickhouse: string
  redis: string
  ingestRedis: string
  jwt: string
}

/** The passwords of the embedded services and the token secret: random for each data directory, made once. */
export function openSecrets(dataDirectory: string): Secrets {
  const path = join(dataDirectory, 'secrets.json')
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as Secrets
  if (existsSync(join(dataDirectory, 'postgres', 'complete'))) {
    throw new Error(
      `${path} is gone, and with it the passwords of the data beside it: put it back, or delete ${dataDirectory}`,
    )
  }
  const secrets = makeSecrets()
  writePrivateFile(path, `${JSON.stringify(secrets, null, 2)}\n`)
  return secrets
}

export function makeSecrets(): Secrets {
  return {
    postgresSuperuser: randomSecret(),
    postgresOwner: randomSecret(),
    postgresApp: randomSecret(),
    clickhouse: randomSecret(),
    redis: randomSecret(),
    ingestRedis: randomSecret(),
    jwt: randomSecret(),
  }
}

/** 256 bits in letters that need no escaping in a URL, in SQL or in a configuration file. */
function randomSecret(): string {
  return randomBytes(32).toString('hex')
}
