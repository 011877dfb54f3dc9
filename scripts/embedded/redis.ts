import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { openServiceDirectory, writePrivateFile } from './data-directory.ts'
import type { RedisBinary } from './redis-binary.ts'
import { type SupervisedProcess, type Surroundings, superviseProcess } from './supervised-process.ts'

export interface EmbeddedRedis extends SupervisedProcess {
  /** `unix:///path/redis.sock?password=…`, as src/config.ts takes it. */
  url: string
  socketPath: string
  password: string
}

export interface RedisOptions extends Surroundings {
  binary: RedisBinary
  directory: string
  password: string
  /**
   * `ingest`: what was answered with 202 lives only here until ClickHouse has it, so every write is fsynced before it
   * is acknowledged. `general`: rate limits, sessions and queues; a second of loss in a power cut is bearable.
   */
  purpose: 'ingest' | 'general'
}

/** Starts a private Redis on a unix socket, with no TCP port, and keeps it running. */
export async function startRedis(options: RedisOptions): Promise<EmbeddedRedis> {
  const directory = await openServiceDirectory(options.directory)
  const socketPath = join(socketDirectory(directory.path), 'redis.sock')
  const configFile = join(directory.path, 'redis.conf')
  writePrivateFile(configFile, configuration(options, directory.path, socketPath))
  const supervised = await superviseProcess(
    {
      name: `Redis (${options.purpose})`,
      command: [options.binary.path, configFile],
      calledAs: options.binary.calledAs,
      workingDirectory: directory.path,
      logFile: join(directory.path, 'redis.log'),
      pidFile: directory.pidFile,
      stopSignal: 'SIGTERM',
      stopTimeoutMs: 8000,
      readyTimeoutMs: 60_000,
      isReady: () => answersPing(socketPath, options.password),
    },
    options,
  )
  if (directory.isNew) directory.markComplete()
  return {
    ...supervised,
    url: `unix://${socketPath}?password=${options.password}`,
    socketPath,
    password: options.password,
  }
}

function configuration({ password, purpose }: RedisOptions, directory: string, socketPath: string): string {
  return [
    'port 0',
    `unixsocket "${socketPath}"`,
    'unixsocketperm 700',
    `dir "${directory}"`,
    `requirepass ${password}`,
    'daemonize no',
    'databases 16',
    'save ""',
    'appendonly yes',
    `appendfsync ${purpose === 'ingest' ? 'always' : 'everysec'}`,
    'no-appendfsync-on-rewrite no',
    'aof-load-truncated yes',
    // What passes through the buffer is soon gone from it, so its file doubles every few seconds under load.
    `auto-aof-rewrite-min-size ${purpose === 'ingest' ? '512mb' : '64mb'}`,
    'maxmemory-policy noeviction',
    '',
  ].join('\n')
}

/**
 * A socket's path is limited to about 100 bytes by the kernel. A checkout deep in somebody's home gets a directory
 * under the temporary one instead: named after the data, and refused unless it is ours alone, as anybody can write there.
 */
function socketDirectory(directory: string): string {
  if (Buffer.byteLength(join(directory, 'redis.sock')) <= 100) return directory
  const name = createHash('sha256').update(directory).digest('hex').slice(0, 12)
  const fallback = join(tmpdir(), `meterhouse-${userInfo().uid}-${name}`)
  mkdirSync(fallback, { recursive: true, mode: 0o700 })
  const found = lstatSync(fallback)
  if (!found.isDirectory() || found.uid !== userInfo().uid || (found.mode & 0o077) !== 0) {
    throw new Error(`${fallback} belongs to somebody else: set METERHOUSE_DATA to a directory with a shorter path`)
  }
  return fallback
}

function answersPing(socketPath: string, password: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath)
    let answer = ''
    const settle = (isReady: boolean) => {
      socket.destroy()
      resolve(isReady)
    }
    socket.setTimeout(2000, () => settle(false))
    socket.on('error', () => settle(false))
    socket.on('connect', () => socket.write(`AUTH ${password}\r\nPING\r\n`))
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
      // While the append-only file is being read, PING is answered with -LOADING.
      if (answer.split('\r\n').length > 2) settle(answer.includes('+PONG'))
    })
  })
}
