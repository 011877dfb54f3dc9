import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startClickhouse } from './embedded/clickhouse.ts'
import { makeSecrets } from './embedded/data-directory.ts'
import { startPostgres } from './embedded/postgres.ts'
import { provideRedisBinary } from './embedded/redis-install.ts'

/**
 * Runs the test suite on services of its own: one PostgreSQL and one ClickHouse for all files, in a temporary
 * directory that is removed at the end. Every test file makes its databases out of these and starts its own Redis.
 */
// A short name: unix sockets of the tests lie below it, and their paths may have about 100 bytes.
const directory = mkdtempSync(join(tmpdir(), 'mh-'))
const cleanUp: (() => Promise<void>)[] = [
  async () => rmSync(directory, { recursive: true, force: true, maxRetries: 10 }),
]
let tap: ChildProcess | undefined
/** A file ends by itself; what takes longer than this on the busiest machine hangs. */
const FILE_TIMEOUT_SECONDS = 600
let interruptedBy: NodeJS.Signals | undefined

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupt(signal))
process.on('disconnect', () => interrupt('SIGTERM'))

process.exitCode = await runTests().catch((error: unknown) => {
  console.error(error)
  return 1
})
for (const step of cleanUp.reverse()) await step()
// The channel to the launcher would keep this process alive.
process.disconnect?.()

async function runTests(): Promise<number> {
  const secrets = makeSecrets()
  const log = (line: string) => console.error(line)
  // Every test file starts a Redis of its own from the binary that is then there.
  await provideRedisBinary(log)
  const [postgres, clickhouse] = await bothStarted(
    startPostgres({ directory: join(directory, 'postgres'), secrets, durability: 'throwaway', log }),
    startClickhouse({ directory: join(directory, 'clickhouse'), password: secrets.clickhouse, log }),
  )
  const { migrate } = await import('./migrate.ts')
  await migrate({ postgresOwnerUrl: postgres.ownerUrl, clickhouseUrl: `${clickhouse.url}/template` })
  return runTap({
    TEST_POSTGRES_ADMIN_URL: postgres.adminUrl,
    TEST_POSTGRES_TEMPLATE: new URL(postgres.ownerUrl).pathname.slice(1),
    TEST_POSTGRES_OWNER_PASSWORD: secrets.postgresOwner,
    TEST_POSTGRES_APP_PASSWORD: secrets.postgresApp,
    TEST_CLICKHOUSE_URL: clickhouse.url,
  })
}

interface Stoppable {
  stop: () => Promise<void>
}

/** Sees to it that what did start is also stopped when its neighbor did not. */
async function bothStarted<A extends Stoppable, B extends Stoppable>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  for (const outcome of await Promise.allSettled([a, b])) {
    if (outcome.status === 'fulfilled') cleanUp.push(outcome.value.stop)
  }
  return Promise.all([a, b])
}

/**
 * tap compiles its plugins into node_modules and remembers elsewhere that it did, so after a fresh install it would run with
 * the plugins that it is shipped with. What was compiled is noted beside the modules instead.
 */
function compilePlugins(tapProgram: string): void {
  const stamp = fileURLToPath(new URL('../node_modules/.meterhouse-tap', import.meta.url))
  // Only what stands before the files is compiled: the plugins.
  const wanted = readFileSync(new URL('../.taprc', import.meta.url), 'utf8').split('include:')[0] ?? ''
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  const { status, stderr } = spawnSync(process.execPath, [tapProgram, 'build'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`tap could not compile its plugins: ${stderr}`)
  writeFileSync(stamp, wanted)
}

function runTap(environment: Record<string, string>): Promise<number> {
  if (interruptedBy) return Promise.resolve(128 + constants.signals[interruptedBy])
  const temporary = join(directory, 't')
  mkdirSync(temporary)
  const program = join(fileURLToPath(import.meta.resolve('tap')), '../run.mjs')
  compilePlugins(program)
  tap = spawn(process.execPath, [program, ...process.argv.slice(2)], {
    // What a test that was killed leaves in its temporary directory goes with ours.
    env: { TAP_TIMEOUT: String(FILE_TIMEOUT_SECONDS), ...process.env, TMPDIR: temporary, ...environment },
    // A process group of its own, as tap does not pass a signal on to the tests.
    detached: true,
    stdio: 'inherit',
  })
  return new Promise((resolve, reject) => {
    tap?.once('error', reject)
    tap?.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGTERM']))
  })
}

function interrupt(signal: NodeJS.Signals): void {
  interruptedBy = signal
  signalTests(signal)
  setTimeout(() => signalTests('SIGKILL'), 3000).unref()
}

function signalTests(signal: NodeJS.Signals): void {
  try {
    if (tap?.pid !== undefined) process.kill(-tap.pid, signal)
  } catch {
    // They have ended already.
  }
}
