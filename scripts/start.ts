import { fileURLToPath } from 'node:url'
import type { ServiceName } from './embedded/services.ts'

/**
 * What `npm start` runs under the project's own Node. Where every service is configured this process becomes the
 * server, and no embedded code is loaded; else the missing ones are started here.
 */
const variables: Record<ServiceName, string> = {
  postgres: 'METERHOUSE_POSTGRES_URL',
  clickhouse: 'METERHOUSE_CLICKHOUSE_URL',
  redis: 'METERHOUSE_REDIS_URL',
  ingestRedis: 'METERHOUSE_INGEST_REDIS_URL',
  mailbox: 'METERHOUSE_SMTP_URL',
}

loadDotEnv()
const missing = (Object.keys(variables) as ServiceName[]).filter((name) => !process.env[variables[name]])
if (missing.length === 0) becomeServer()
else await embed(new Set(missing))

async function embed(missing: ReadonlySet<ServiceName>): Promise<void> {
  const { listenForShutdown } = await import('./embedded/shutdown-signal.ts')
  const shutdown = listenForShutdown()
  try {
    const { runEmbedded } = await import('./embedded/development.ts')
    await runEmbedded(missing, shutdown)
  } catch (error) {
    if (!shutdown.signal.aborted) {
      process.exitCode = 1
      console.error(`\n  ${describe(error)}\n`)
    }
  }
  process.exit()
}

/** The process keeps its id, so whoever supervises it supervises the server. */
function becomeServer(): void {
  const server = fileURLToPath(new URL('../src/server.ts', import.meta.url))
  process.disconnect?.()
  process.execve?.(process.execPath, [process.execPath, server], process.env)
}

/** Variables that are set already win over the file. */
function loadDotEnv(): void {
  try {
    process.loadEnvFile(fileURLToPath(new URL('../.env', import.meta.url)))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

/** What was thrown on purpose is written to be read as it is; anything else is a fault of ours and shows its stack. */
function describe(error: unknown): string {
  if (error instanceof Error && error.constructor === Error) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
