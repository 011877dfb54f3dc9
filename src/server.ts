import cluster from 'node:cluster'
import { pino } from 'pino'
import { type Config, ConfigError, loadConfig } from './config.ts'
import { loggerOptions } from './http/request-log.ts'
import { armFailpoints } from './infra/failpoints.ts'
import { announceStart } from './infra/siblings.ts'
import { runProcesses } from './processes.ts'

// The process: everything with a side effect that is not a request happens here.
const config = readConfig()
armFailpoints(config.failpoints, (signal) => process.kill(process.pid, signal))
const logger = loggerOptions(config.log, process.stdout.isTTY === true)
if (config.processes > 1) superviseProcesses()
else await serve()

/** Starts the processes that serve, and passes on to them what this one is told. */
function superviseProcesses(): void {
  const log = pino(logger)
  const processes = runProcesses(config, log, (code) => process.exit(code))
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'stopping every process')
      processes.stop()
      // Each has its own limit; this one is for a process that does not keep it.
      setTimeout(processes.kill, config.http.shutdownTimeoutMs + 1000).unref()
    })
  }
}

async function serve(): Promise<void> {
  // Loaded here, as a process that only starts others needs nothing of it.
  const [{ buildApp }, { bootFaults }] = await Promise.all([import('./app.ts'), import('./boot-checks.ts')])
  const app = await buildApp(config, logger)

  /** Stops taking requests, lets the ones in flight finish, hands the shards over and closes every connection. */
  let stopping = false
  const stop = async (signal: string) => {
    // A Ctrl-C at the terminal reaches this process and the one that started it, which passes it on.
    if (stopping) return
    stopping = true
    app.log.info({ signal }, 'stopping')
    setTimeout(() => {
      app.log.error('the graceful stop took too long')
      process.exit(1)
    }, config.http.shutdownTimeoutMs).unref()
    await app.close()
    process.exit(0)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop(signal))
  process.on('unhandledRejection', (error) => {
    app.log.fatal({ err: error }, 'a promise was rejected and nobody listened')
    process.exit(1)
  })

  try {
    const faults = await bootFaults(app, config)
    if (faults.length > 0) refuse(faults)
    // Beside processes that answer requests, one without the role must not be handed any.
    if (cluster.isWorker && !config.roles.includes('api')) await app.ready()
    else await app.listen({ host: config.http.host, port: config.http.port })
    announceStart()
  } catch (error) {
    app.log.fatal({ err: error }, 'the server could not start')
    process.exit(1)
  }
}

function readConfig(): Config {
  try {
    return loadConfig()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
}

function refuse(faults: string[]): never {
  process.stderr.write(`Meterhouse does not start:\n${faults.map((fault) => `  - ${fault}`).join('\n')}\n`)
  process.exit(1)
}
