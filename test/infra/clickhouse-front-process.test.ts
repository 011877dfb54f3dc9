import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { processIdentity } from '../../scripts/process-identity.js'
import {
  FRONT_ENVIRONMENT,
  FRONT_SCRIPT,
  type FrontClient,
  isRunning,
  makeDataDir,
  rowsOf,
  spawnFront,
  startFront,
  textOf,
  until,
} from '../helpers/clickhouse-front.ts'

const TABLE = `CREATE TABLE db.t (id UInt64) ENGINE = MergeTree ORDER BY id
  SETTINGS non_replicated_deduplication_window = 100, fsync_after_insert = 1, fsync_part_directory = 1`

async function makeTable(client: FrontClient) {
  await client.command({ query: 'CREATE DATABASE IF NOT EXISTS db' })
  await client.command({ query: TABLE })
}

function insert(client: FrontClient, id: number) {
  const clickhouse_settings = { insert_deduplication_token: `token ${id}` }
  return client.insert({ table: 'db.t', values: [{ id }], format: 'JSONEachRow', clickhouse_settings })
}

async function idsIn(client: FrontClient): Promise<number[]> {
  return (await rowsOf<{ id: number }>(client, 'SELECT id FROM db.t ORDER BY id')).map(({ id }) => id)
}

t.test('acknowledged rows and their tokens outlive kill -9, again and again', async (t) => {
  const dataDir = makeDataDir(t)
  const acknowledged: number[] = []
  for (let round = 0; round < 3; round++) {
    const front = await startFront(t, dataDir)
    const client = front.client()
    if (round === 0) await makeTable(client)
    t.strictSame(await idsIn(client), acknowledged, `before round ${round}`)
    for (const id of acknowledged) await insert(client, id)
    t.strictSame(await idsIn(client), acknowledged, 'a repeated insert is still known')
    let isKilled = false
    for (let id = round * 1000; !isKilled; id++) {
      const outcome = insert(client, id)
      if (id === round * 1000 + 20) isKilled = front.child.kill('SIGKILL')
      // The one under way when the process dies may be stored or not; only an answer is a promise.
      await outcome.then(() => acknowledged.push(id)).catch(() => undefined)
    }
    await front.exited
    const unsure = round * 1000 + 20
    const next = await startFront(t, dataDir)
    if (!acknowledged.includes(unsure) && (await idsIn(next.client())).includes(unsure)) acknowledged.push(unsure)
    next.child.kill('SIGTERM')
    t.strictSame(await next.exited, [0, null])
  }
  t.ok(acknowledged.length >= 60)
})

t.test('SIGTERM lets a running statement finish, closes cleanly and frees the directory', async (t) => {
  const dataDir = makeDataDir(t)
  const front = await startFront(t, dataDir)
  const client = front.client()
  await makeTable(client)
  await insert(client, 1)
  const slow = 'SELECT sleepEachRow(1) AS slept FROM numbers(3)'
  const running = rowsOf(client, slow, { clickhouse_settings: { max_block_size: '1' } })
  await until('the statement runs', () => isRunning(client, slow))
  front.child.kill('SIGTERM')
  t.equal((await running).length, 3)
  t.strictSame(await front.exited, [0, null])
  t.notOk(existsSync(join(dataDir, 'front.lock')))
  await t.rejects(fetch(`${front.url}/ping`))
  t.strictSame(await idsIn((await startFront(t, dataDir)).client()), [1])
})

t.test('a statement that does not end cannot stop the front from ending', async (t) => {
  const front = await startFront(t)
  const client = front.client()
  const query = 'SELECT sum(sipHash64(number)) FROM numbers(1000000000000)'
  const endless = rowsOf(client, query)
  await until('the statement runs', () => isRunning(client, query))
  const start = Date.now()
  front.child.kill('SIGTERM')
  await t.rejects(endless)
  t.strictSame(await front.exited, [0, null])
  t.ok(Date.now() - start < 10_000)
})

t.test('a second front on the same directory refuses in one line', async (t) => {
  const front = await startFront(t)
  const second = spawnFront(front.dataDir)
  const text = await textOf(second)
  t.equal(second.exitCode, 1)
  t.match(text, new RegExp(`^.*is in use by another ClickHouse front \\(pid ${front.ready.pid}\\).*\n$`))
  t.strictSame(await rowsOf(front.client(), 'SELECT 1 AS one'), [{ one: 1 }], 'and the first is unharmed')
})

t.test('a lock that nobody holds stops nobody', async (t) => {
  const dataDir = makeDataDir(t)
  for (const left of ['', 'nonsense', JSON.stringify({ pid: process.pid, identity: 'another life of this pid' })]) {
    writeFileSync(join(dataDir, 'front.lock'), left)
    const front = await startFront(t, dataDir)
    front.child.kill('SIGKILL')
    await front.exited
    t.ok(existsSync(join(dataDir, 'front.lock')))
  }
  t.ok((await startFront(t, dataDir)).ready)
})

t.test('a wrong start says what is wrong in one line', async (t) => {
  const run = async (...options: string[]) => {
    const child = spawn(process.execPath, [FRONT_SCRIPT, ...options], { stdio: ['ignore', 'ignore', 'pipe'] })
    const text = await textOf(child)
    return { code: child.exitCode, text }
  }
  t.match(await run(), { code: 1, text: /^--data is missing.*\n$/ })
  t.match(await run('--data', join(makeDataDir(t), '{a}')), { code: 1, text: /^--data .* pattern.*\n$/ })
  t.match(await run('--data', makeDataDir(t), '--port', 'x'), { code: 1, text: /^--port x is not a port number.*\n$/ })
  const { url } = await startFront(t)
  const taken = await run('--data', makeDataDir(t), '--port', new URL(url).port)
  t.match(taken, { code: 1, text: /^Cannot listen on .*EADDRINUSE.*\n$/ })
})

t.test('the front ends when its parent dies, whichever way they are tied', async (t) => {
  for (const stdio of ["['pipe', 'inherit', 'ignore']", "['ignore', 'inherit', 'ignore', 'ipc']"]) {
    const script = `require('node:child_process').spawn(process.execPath, ${JSON.stringify([
      FRONT_SCRIPT,
      '--data',
      makeDataDir(t),
    ])}, { stdio: ${stdio} }); setInterval(() => {}, 1000)`
    const parent = spawn(process.execPath, ['-e', script], {
      env: { ...process.env, ...FRONT_ENVIRONMENT },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const [line] = await once(parent.stdout, 'data')
    const { pid } = JSON.parse(String(line)) as { pid: number }
    t.ok(processIdentity(pid))
    parent.kill('SIGKILL')
    await until('the front is gone', () => processIdentity(pid) === undefined)
  }
})
