import { fstatSync, mkdirSync } from 'node:fs'
import { createServer } from 'node:http'
import { constants, setPriority } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { takeLock } from '../process-lock.js'
import { openEngine } from './clickhouse-engine.ts'
import { httpInterface } from './clickhouse-http.ts'

/**
 * The ClickHouse engine (`chdb`) in a process of its own, behind the HTTP interface that `@clickhouse/client` speaks:
 *
 *     node scripts/embedded/clickhouse-front.ts --data DIR [--port 0] [--host 127.0.0.1]
 *
 * CLICKHOUSE_FRONT_USER and CLICKHOUSE_FRONT_PASSWORD are the credentials. One JSON line on stdout says when it is ready.
 */
const DRAIN_MS = 8000
/** For an insert that even then does not end: acknowledged rows are safe on disk, so the process may just die. */
const KILL_MS = 1500
const IDLE_CHECK_MS = 50
const URL_BYTES_MAX = 1024 * 1024

// The server shares the machine: a merge or a large query must not hold up the door. Threads inherit it.
setPriority(constants.priority.PRIORITY_BELOW_NORMAL)

// Both are read once, when the first thread and the engine start. Statements occupy threads while they run, so the pool
// must have more of them than statements may run, or reading and compressing bodies would wait for slow statements.
process.env.UV_THREADPOOL_SIZE = '12'
process.env.TZ = 'UTC'

let isStopping = false
const options = readArguments()
const release = lockDataDir(options.data)
const engine = await openEngine(options.data)
const respond = httpInterface(engine, {
  user: process.env.CLICKHOUSE_FRONT_USER ?? 'default',
  password: process.env.CLICKHOUSE_FRONT_PASSWORD ?? '',
})
const server = createServer({ maxHeaderSize: URL_BYTES_MAX, keepAliveTimeout: 30_000 }, respond)
server.once('error', (error) => exitWith(`Cannot listen on ${options.host}:${options.port}: ${error.message}`))
server.listen(options.port, options.host, () => {
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  process.stdout.write(`${JSON.stringify({ ready: true, port, pid: process.pid, version: engine.version })}\n`)
})
stopWithParent()
process.on('SIGTERM', stop)
process.on('SIGINT', stop)

function stop() {
  if (isStopping) return
  isStopping = true
  void drain()
}

/** Answers what was asked, then closes the engine. Statements that take too long are killed by closing their connections. */
async function drain(): Promise<void> {
  const closed = new Promise((done) => server.close(done))
  // A client keeps its connection open between requests, so each one is closed at the first pause after its answer.
  setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS)
  setTimeout(() => server.closeAllConnections(), DRAIN_MS)
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), DRAIN_MS + KILL_MS)
  await closed
  await engine.close()
  release()
  process.exit(0)
}

/** Nobody is left to stop this process when its parent is gone, so it stops itself. */
function stopWithParent() {
  process.once('disconnect', stop)
  const stdin = fstatSync(0)
  if (stdin.isFIFO() || stdin.isSocket()) process.stdin.once('end', stop).once('error', stop).resume()
}

function readArguments() {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      port: { type: 'string', default: '0' },
      host: { type: 'string', default: '127.0.0.1' },
    },
  })
  const port = Number(values.port)
  if (!values.data) exitWith('--data is missing: name the directory that holds the tables')
  if (!(Number.isInteger(port) && port >= 0 && port < 65536)) exitWith(`--port ${values.port} is not a port number`)
  const data = resolve(values.data)
  if (/[*?{}[\]]/.test(data)) exitWith(`--data ${data} holds one of * ? { } [ ], which the engine reads as a pattern`)
  return { data, port, host: values.host }
}

function lockDataDir(data: string): () => void {
  mkdirSync(data, { recursive: true, mode: 0o700 })
  const lock = takeLock(join(data, 'front.lock'))
  if ('heldBy' in lock) exitWith(`${data} is in use by another ClickHouse front (pid ${lock.heldBy.pid})`)
  return lock.release
}

function exitWith(line: string): never {
  process.stderr.write(`${line}\n`)
  process.exit(1)
}
