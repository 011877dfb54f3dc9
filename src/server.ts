import { buildApp } from './app.ts'
import { bootFaults } from './boot-checks.ts'
import { type Config, ConfigError, loadConfig } from './config.ts'
import { loggerOptions } from './http/request-log.ts'

// The process: everything with a side effect that is not a request happens here.
const config = readConfig()
const app = await buildApp(config, loggerOptions(config.log, process.stdout.isTTY === true))

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop(signal))
process.on('unhandledRejection', (error) => {
  app.log.fatal({ err: error }, 'a promise was rejected and nobody listened')
  process.exit(1)
})

try {
  const faults = await bootFaults(app, config)
  if (faults.length > 0) refuse(faults)
  await app.listen({ host: config.http.host, port: config.http.port })
} catch (error) {
  app.log.fatal({ err: error }, 'the server could not start')
  process.exit(1)
}

/** Stops taking requests, lets the ones in flight finish, hands the shards over and closes every connection. */
async function stop(signal: string): Promise<void> {
  app.log.info({ signal }, 'stopping')
  setTimeout(() => {
    app.log.error('the graceful stop took too long')
    process.exit(1)
  }, config.http.shutdownTimeoutMs).unref()
  await app.close()
  process.exit(0)
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
