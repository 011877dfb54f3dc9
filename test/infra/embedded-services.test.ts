import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ClickHouseLogLevel, createClient } from '@clickhouse/client'
import { Redis } from 'ioredis'
import { createTransport } from 'nodemailer'
import pg from 'pg'
import t, { type Test } from 'tap'
import { openDataDirectory } from '../../scripts/embedded/data-directory.ts'
import { type ServiceName, type Services, startServices } from '../../scripts/embedded/services.ts'
import { processIdentity } from '../../scripts/process-identity.js'
import { takeLock } from '../../scripts/process-lock.js'
import { eventually } from '../helpers/app.ts'

/** Quick to start, and each with children or sockets of its own to lose. */
const quickOnes = ['postgres', 'redis', 'ingestRedis'] as const
const everything = ['postgres', 'clickhouse', 'redis', 'ingestRedis', 'mailbox'] as const
const servicesModule = fileURLToPath(new URL('../../scripts/embedded/services.ts', import.meta.url))

t.test('a stop leaves no process, and the next start has the same addresses and the data', async (t) => {
  const dataDirectory = makeDirectory(t)
  const first = await start(t, dataDirectory)
  t.equal(first.postgres?.isNew, true)
  await writeEverywhere(first)
  const addresses = addressesOf(first)
  t.ok(processesNaming(dataDirectory).length >= everything.length, 'the search for processes finds what runs')
  await first.stop()
  t.ok(await eventually('all are gone', async () => processesNaming(dataDirectory).length === 0))
  t.same(pidFilesIn(dataDirectory), [])

  const second = await start(t, dataDirectory)
  t.equal(second.postgres?.isNew, false)
  t.same(addressesOf(second), addresses)
  t.same(await readEverywhere(second), writtenEverywhere)
})

t.test('a service killed with -9 comes back at its address with its data, and says so', async (t) => {
  const lines: string[] = []
  const services = await start(t, makeDirectory(t), { log: (line) => lines.push(line) })
  await writeEverywhere(services)
  const addresses = addressesOf(services)
  for (const name of everything) {
    const pid = pidOf(services, name)
    process.kill(pid, 'SIGKILL')
    await eventually(`${name} is started again`, async () => pidOf(services, name) !== pid)
  }
  await eventually(
    'all are back',
    async () => lines.filter((line) => line.endsWith('is back')).length === everything.length,
  )
  t.equal(lines.filter((line) => line.includes('ended unexpectedly (SIGKILL)')).length, everything.length)
  t.same(addressesOf(services), addresses)
  t.same(await readEverywhere(services), writtenEverywhere)
})

t.test('the services end by themselves when their launcher is killed with -9', async (t) => {
  const dataDirectory = makeDirectory(t)
  const launcher = await startElsewhere(t, dataDirectory)
  t.ok(processesNaming(dataDirectory).length > quickOnes.length, 'they run')
  launcher.kill('SIGKILL')
  t.ok(await eventually('all are gone', async () => processesNaming(dataDirectory).length === 0))

  const services = await start(t, dataDirectory, { wanted: quickOnes })
  t.equal(services.postgres?.isNew, false, 'and the data is used again')
})

t.test('a process left in a directory is ended before the directory is used, but never a stranger', async (t) => {
  const dataDirectory = makeDirectory(t)
  const first = await start(t, dataDirectory, { wanted: ['redis'] })
  await first.stop()
  const pidFile = join(dataDirectory, 'redis-general', 'process.pid')
  const leftover = startSleep(t)
  writeFileSync(pidFile, JSON.stringify({ pid: leftover.pid, identity: processIdentity(leftover.pid ?? 0) }))
  const second = await start(t, dataDirectory, { wanted: ['redis'] })
  t.equal(leftover.signalCode, 'SIGTERM')
  await second.stop()

  // The same number, given by the system to somebody else since.
  const stranger = startSleep(t)
  writeFileSync(pidFile, JSON.stringify({ pid: stranger.pid, identity: 'another boot:1' }))
  await start(t, dataDirectory, { wanted: ['redis'] })
  t.equal(stranger.exitCode ?? stranger.signalCode, null)
})

t.test("a lock of PostgreSQL's own that now names a stranger does not keep it from starting", async (t) => {
  const dataDirectory = makeDirectory(t)
  const first = await start(t, dataDirectory, { wanted: ['postgres'] })
  await first.stop()
  const cluster = join(dataDirectory, 'postgres', 'cluster')
  const stranger = startSleep(t)
  writeFileSync(join(cluster, 'postmaster.pid'), `${stranger.pid}\n${cluster}\n`)
  const second = await start(t, dataDirectory, { wanted: ['postgres'] })
  t.same(await readPostgres(second, `SELECT 'here' AS word`), [{ word: 'here' }])
  t.equal(stranger.exitCode ?? stranger.signalCode, null)
})

t.test('a directory whose making was cut off is made anew', async (t) => {
  const dataDirectory = makeDirectory(t)
  const cluster = join(dataDirectory, 'postgres', 'cluster')
  mkdirSync(cluster, { recursive: true })
  writeFileSync(join(cluster, 'PG_VERSION'), '18\n')
  const services = await start(t, dataDirectory, { wanted: ['postgres'] })
  t.equal(services.postgres?.isNew, true)
  t.same(await readPostgres(services, `SELECT 'here' AS word`), [{ word: 'here' }])
})

t.test('a directory that was once complete is never removed, even when it does not start', async (t) => {
  const dataDirectory = makeDirectory(t)
  const services = await start(t, dataDirectory, { wanted: ['postgres'] })
  await services.stop()
  const cluster = join(dataDirectory, 'postgres', 'cluster')
  rmSync(join(cluster, 'global', 'pg_control'))
  await t.rejects(start(t, dataDirectory, { wanted: ['postgres'] }), /PostgreSQL did not start(.|\n)*pg_control/)
  t.ok(existsSync(join(cluster, 'base')))
  t.same(processesNaming(dataDirectory), [])
})

t.test('a start that is told to stop gives up and leaves nothing running', async (t) => {
  const dataDirectory = makeDirectory(t)
  const controller = new AbortController()
  controller.abort()
  await t.rejects(start(t, dataDirectory, { signal: controller.signal }), /told to stop/)
  t.ok(await eventually('all are gone', async () => processesNaming(dataDirectory).length === 0))
})

t.test('secrets are for this user only, random for each directory, and their loss is explained', async (t) => {
  const [one, other] = [makeDirectory(t), makeDirectory(t)]
  const services = await start(t, one, { wanted: ['postgres'] })
  await start(t, other, { wanted: ['ingestRedis'] })
  const secretsIn = (directory: string) => readFileSync(join(directory, 'secrets.json'), 'utf8')
  t.equal(statSync(join(one, 'secrets.json')).mode & 0o777, 0o600)
  t.not(secretsIn(one), secretsIn(other))
  await services.stop()
  rmSync(join(one, 'secrets.json'))
  await t.rejects(start(t, one, { wanted: ['postgres'] }), /secrets\.json is gone/)
})

t.test('every service asks for its password', async (t) => {
  const services = await start(t, makeDirectory(t), { wanted: ['postgres', 'clickhouse', 'redis'] })
  const wrong = (url = '') => url.replace(/[0-9a-f]{64}/, 'wrong')
  const client = new pg.Client({ connectionString: wrong(services.postgres?.adminUrl) })
  await t.rejects(client.connect(), /password authentication failed/)
  const clickhouse = createClient({ url: wrong(services.clickhouse?.url), log: { level: ClickHouseLogLevel.OFF } })
  await t.rejects(clickhouse.query({ query: 'SELECT 1' }), /AUTHENTICATION_FAILED|Authentication failed/i)
  await clickhouse.close()
  t.match(await withRedis(wrong(services.redis?.url), (redis) => redis.get('key')).catch(String), /WRONGPASS/)
})

t.test('a second launcher is told who has the directory and where to find it', async (t) => {
  const path = makeDirectory(t)
  const first = openDataDirectory(path)
  t.throws(() => openDataDirectory(path), {
    message: `Meterhouse already runs on ${path}: it is still starting (process ${process.pid})`,
  })
  first.announce('http://localhost:3000')
  t.throws(() => openDataDirectory(path), {
    message: `Meterhouse already runs on ${path}: http://localhost:3000 (process ${process.pid})`,
  })
  first.close()
  openDataDirectory(path).close()
  t.same(readdirSync(path), [])
})

t.test('a lock whose holder no longer runs, or that was cut off in the writing, does not hold', async (t) => {
  const path = join(makeDirectory(t), 'lock')
  for (const stale of [
    { pid: 2 ** 22 + 1, identity: 'gone' },
    { pid: process.pid, identity: 'an earlier process' },
  ]) {
    writeFileSync(path, JSON.stringify(stale))
    const lock = takeLock(path)
    if ('heldBy' in lock) throw new Error('The lock was refused')
    t.equal(JSON.parse(readFileSync(path, 'utf8')).pid, process.pid)
    lock.release()
  }
  writeFileSync(path, '{"pid":')
  t.notOk('heldBy' in takeLock(path))
})

interface StartOptions {
  wanted?: readonly ServiceName[]
  log?: (line: string) => void
  signal?: AbortSignal
}

async function start(t: Test, dataDirectory: string, options: StartOptions = {}): Promise<Services> {
  const { wanted = everything, log = () => {}, signal } = options
  const services = await startServices({ dataDirectory, wanted: new Set(wanted), log, signal })
  t.teardown(services.stop)
  return services
}

/** Starts the services under a process that can be killed. */
async function startElsewhere(t: Test, dataDirectory: string): Promise<ChildProcess> {
  const program = `
    const { startServices } = await import(${JSON.stringify(servicesModule)})
    await startServices({ dataDirectory: process.argv[1], wanted: new Set(${JSON.stringify(quickOnes)}), log() {} })
    console.log('ready')`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program, dataDirectory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child
}

function startSleep(t: Test): ChildProcess {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

function makeDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'embedded-test-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }))
  return directory
}

const writtenEverywhere = { postgres: 'one', clickhouse: 'two', redis: 'three', ingestRedis: 'four', mails: ['five'] }

async function writeEverywhere(services: Services): Promise<void> {
  await readPostgres(services, `CREATE TABLE kept AS SELECT 'one' AS word`)
  await withClickHouse(services, async (client) => {
    await client.command({ query: `CREATE TABLE kept (word String) ENGINE = MergeTree ORDER BY word` })
    await client.insert({ table: 'kept', values: [{ word: 'two' }], format: 'JSONEachRow' })
  })
  await withRedis(services.redis?.url, (redis) => redis.set('kept', 'three'))
  await withRedis(services.ingestRedis?.url, (redis) => redis.set('kept', 'four'))
  // The general Redis may hold a write back while it waits for the disk, and a kill then would take it along.
  await withRedis(services.redis?.url, (redis) =>
    eventually('the key is written', async () => (await redis.info('persistence')).includes('aof_buffer_length:0')),
  )
  await createTransport(services.mailbox?.smtpUrl).sendMail({ from: 'a@localhost', to: 'b@localhost', subject: 'five' })
}

async function readEverywhere(services: Services) {
  const rows = await eventually('Postgres answers', () =>
    readPostgres(services, 'SELECT word FROM kept').catch(() => undefined),
  )
  const clickhouse = await withClickHouse(services, async (client) => {
    const answer = await client.query({ query: 'SELECT word FROM kept', format: 'JSONEachRow' })
    return (await answer.json<{ word: string }>())[0]?.word
  })
  return {
    postgres: rows[0]?.word,
    clickhouse,
    redis: await withRedis(services.redis?.url, (redis) => redis.get('kept')),
    ingestRedis: await withRedis(services.ingestRedis?.url, (redis) => redis.get('kept')),
    mails: await subjectsIn(services),
  }
}

async function readPostgres(services: Services, query: string): Promise<{ word?: string }[]> {
  const client = new pg.Client({ connectionString: services.postgres?.adminUrl })
  client.on('error', () => {
    // The server is killed under it on purpose.
  })
  await client.connect()
  try {
    return (await client.query<{ word?: string }>(query)).rows
  } finally {
    await client.end()
  }
}

async function withClickHouse<T>(services: Services, work: (client: ReturnType<typeof createClient>) => Promise<T>) {
  const client = createClient({ url: services.clickhouse?.url })
  try {
    return await work(client)
  } finally {
    await client.close()
  }
}

async function withRedis<T>(url = '', work: (redis: Redis) => Promise<T>): Promise<T> {
  const { pathname, searchParams } = new URL(url)
  const redis = new Redis({ path: pathname, password: searchParams.get('password') ?? '' })
  redis.on('error', () => {
    // What fails is told by the command that failed.
  })
  try {
    return await work(redis)
  } finally {
    redis.disconnect()
  }
}

async function subjectsIn(services: Services): Promise<string[]> {
  const answer = await fetch(`${services.mailbox?.webUrl}/api/email`)
  return ((await answer.json()) as { subject: string }[]).map((mail) => mail.subject)
}

function addressesOf({ postgres, clickhouse, redis, ingestRedis, mailbox }: Services) {
  return [
    postgres?.ownerUrl,
    postgres?.appUrl,
    clickhouse?.url,
    redis?.url,
    ingestRedis?.url,
    mailbox?.smtpUrl,
    mailbox?.webUrl,
  ]
}

function pidOf(services: Services, name: ServiceName): number {
  return services[name]?.pid() ?? 0
}

function pidFilesIn(dataDirectory: string): string[] {
  return readdirSync(dataDirectory, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('process.pid'),
  )
}

/** Every process of this machine that names the directory in its command line. */
function processesNaming(directory: string): string[] {
  const lines = existsSync('/proc/self/cmdline')
    ? readdirSync('/proc')
        .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
        .map(commandLineOf)
    : execFileSync('ps', ['-axo', 'command='], { encoding: 'utf8' }).split('\n')
  return lines.filter((line) => line.includes(directory))
}

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    // It ended while we looked.
    return ''
  }
}
