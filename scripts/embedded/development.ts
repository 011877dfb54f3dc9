import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type DataDirectory, openDataDirectory, openSecrets } from './data-directory.ts'
import { openDemo } from './demo.ts'
import { choosePort } from './ports.ts'
import { runProjectScript } from './project-script.ts'
import { renderScreen, type ScreenFacts, wantsColors } from './screen.ts'
import { endLeftoverServer, startServer } from './server-process.ts'
import { type ServiceName, type Services, startServices } from './services.ts'
import type { ShutdownSignal } from './shutdown-signal.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

const titles: Record<ServiceName, string> = {
  postgres: 'PostgreSQL',
  clickhouse: 'ClickHouse',
  redis: 'Redis',
  ingestRedis: 'Redis (event buffer)',
  mailbox: 'Mail inbox',
}

/**
 * The whole product on one machine: starts a service for every address that is not configured, brings the databases up
 * to date, makes the demo organization once, runs the server, and takes everything down in order when told to stop.
 */
export async function runEmbedded(wanted: ReadonlySet<ServiceName>, shutdown: ShutdownSignal): Promise<void> {
  const startedAt = performance.now()
  const data = openDataDirectory(resolve(root, process.env.METERHOUSE_DATA || '.data'))
  // Undone from the last to the first, whatever happens in between.
  const undo: (() => Promise<void> | void)[] = [data.close]
  const onStarted = ({ stop, kill }: Stoppable) => {
    undo.push(stop)
    shutdown.onHardStop(kill)
  }
  try {
    log('Starting Meterhouse')
    const facts = await startAll(data, wanted, shutdown.signal, onStarted)
    console.log(
      renderScreen({ ...facts, elapsedMs: performance.now() - startedAt }, wantsColors(process.stdout, process.env)),
    )
    await shutdown.requested
    log('Stopping: the server first, then what it uses')
  } finally {
    const stoppingAt = performance.now()
    for (const takeDown of undo.reverse()) await takeDown()
    if (shutdown.signal.aborted) log(`Stopped in ${seconds(performance.now() - stoppingAt)}`)
  }
}

type Stoppable = Pick<Services, 'stop' | 'kill'>

async function startAll(
  data: DataDirectory,
  wanted: ReadonlySet<ServiceName>,
  signal: AbortSignal,
  onStarted: (started: Stoppable) => void,
): Promise<Omit<ScreenFacts, 'elapsedMs'>> {
  await endLeftoverServer(data.path)
  const onReady = (name: ServiceName, elapsedMs: number) => log(step(titles[name], elapsedMs))
  const services = await startServices({ dataDirectory: data.path, wanted, log, signal, onReady })
  onStarted(services)
  const { port, note } = await choosePort(process.env)
  const environment = serverEnvironment(services, data.path, port)
  await bringUpToDate(services, environment)
  signal.throwIfAborted()
  const demo = services.postgres && (await openDemo(data.path, services.postgres.isNew, environment))
  environment.METERHOUSE_DEMO_PROJECT_ID ??= demo?.credentials?.projectId
  onStarted(await startServer({ environment, port, dataDirectory: data.path, log, signal }))

  const baseUrl = `http://localhost:${port}`
  const mailUrl = services.mailbox?.webUrl
  demo?.publish({ baseUrl, mailUrl })
  data.announce(baseUrl)
  return {
    baseUrl,
    mailUrl,
    credentials: demo?.credentials,
    credentialsFile: demo?.file,
    dataDirectory: data.path,
    notes: [note, demo && !demo.credentials ? lostCredentials(data.path) : undefined].filter(
      (line) => line !== undefined,
    ),
  }
}

/** What the server is told: the user's own environment first, then the services that run here. */
function serverEnvironment(services: Services, dataDirectory: string, port: number): NodeJS.ProcessEnv {
  const given = Object.fromEntries(Object.entries(process.env).filter(([, value]) => value !== ''))
  const own = {
    METERHOUSE_POSTGRES_URL: services.postgres?.appUrl,
    METERHOUSE_POSTGRES_OWNER_URL: services.postgres?.ownerUrl,
    METERHOUSE_CLICKHOUSE_URL: services.clickhouse && `${services.clickhouse.url}/meterhouse`,
    METERHOUSE_REDIS_URL: services.redis?.url,
    METERHOUSE_INGEST_REDIS_URL: services.ingestRedis?.url,
    METERHOUSE_SMTP_URL: services.mailbox?.smtpUrl,
    METERHOUSE_MAIL_INBOX_URL: services.mailbox?.webUrl,
    PORT: String(port),
  }
  return {
    METERHOUSE_MODE: 'development',
    METERHOUSE_JWT_SECRET: openSecrets(dataDirectory).jwt,
    // Leaves the services their share of the ten seconds in which everything has to be down.
    METERHOUSE_SHUTDOWN_TIMEOUT_MS: '5000',
    ...given,
    ...Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)),
  }
}

/** Migrates the databases that run here. One that was configured is migrated with it only if its owner is named. */
async function bringUpToDate(services: Services, environment: NodeJS.ProcessEnv): Promise<void> {
  if (!services.postgres && !services.clickhouse) return
  if (!environment.METERHOUSE_POSTGRES_OWNER_URL) {
    throw new Error(
      'METERHOUSE_POSTGRES_OWNER_URL is missing: ClickHouse runs embedded here, and both databases are migrated together',
    )
  }
  const startedAt = performance.now()
  await runProjectScript('migrate.ts', environment)
  log(step('Migrations', performance.now() - startedAt))
}

function lostCredentials(dataDirectory: string): string {
  return `The demo organization's credentials are lost; delete ${dataDirectory} to start over with new ones`
}

function log(line: string): void {
  console.log(`  ${line}`)
}

function step(title: string, elapsedMs: number): string {
  return `✓ ${title.padEnd(22)}${seconds(elapsedMs)}`
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
