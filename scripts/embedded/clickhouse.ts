import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openServiceDirectory } from './data-directory.ts'
import { rememberedPort } from './ports.ts'
import { answersOk } from './probes.ts'
import { type SupervisedProcess, type Surroundings, superviseProcess } from './supervised-process.ts'

export interface EmbeddedClickhouse extends SupervisedProcess {
  port: number
  /** `http://user:password@127.0.0.1:port`, without a database. */
  url: string
}

export interface ClickhouseOptions extends Surroundings {
  directory: string
  password: string
}

const front = fileURLToPath(new URL('clickhouse-front.ts', import.meta.url))

/** Starts the ClickHouse engine in a process of its own behind its HTTP front, and keeps it running. */
export async function startClickhouse(options: ClickhouseOptions): Promise<EmbeddedClickhouse> {
  const directory = await openServiceDirectory(options.directory)
  const port = await rememberedPort(join(directory.path, 'port'))
  const engine = join(directory.path, 'engine')
  const supervised = await superviseProcess(
    {
      name: 'ClickHouse',
      command: [process.execPath, front, '--data', engine, '--port', String(port), '--host', '127.0.0.1'],
      environment: {
        ...process.env,
        CLICKHOUSE_FRONT_USER: 'meterhouse',
        CLICKHOUSE_FRONT_PASSWORD: options.password,
      },
      workingDirectory: directory.path,
      logFile: join(directory.path, 'clickhouse.log'),
      pidFile: directory.pidFile,
      stopSignal: 'SIGTERM',
      stopTimeoutMs: 5000,
      readyTimeoutMs: 60_000,
      isReady: () => answersOk(`http://127.0.0.1:${port}/ping`),
    },
    options,
  )
  if (directory.isNew) directory.markComplete()
  return { ...supervised, port, url: `http://meterhouse:${options.password}@127.0.0.1:${port}` }
}
