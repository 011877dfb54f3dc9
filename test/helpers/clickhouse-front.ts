import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import {
  type ClickHouseClientConfigOptions,
  ClickHouseError,
  ClickHouseLogLevel,
  createClient,
} from '@clickhouse/client'
import type { Test } from 'tap'

export const FRONT_SCRIPT = fileURLToPath(new URL('../../scripts/embedded/clickhouse-front.ts', import.meta.url))
export const FRONT_ENVIRONMENT = { CLICKHOUSE_FRONT_USER: 'meterhouse', CLICKHOUSE_FRONT_PASSWORD: 'it is a "secret"' }

export const FRONT_HEADERS = {
  'X-ClickHouse-User': FRONT_ENVIRONMENT.CLICKHOUSE_FRONT_USER,
  'X-ClickHouse-Key': FRONT_ENVIRONMENT.CLICKHOUSE_FRONT_PASSWORD,
}

export type Front = Awaited<ReturnType<typeof startFront>>
export type FrontClient = ReturnType<Front['client']>

export function makeDataDir(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'clickhouse-front-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** A front of the test's own, in a process of its own; both are gone when the test ends. */
export async function startFront(t: Test, dataDir = makeDataDir(t)) {
  const child = spawnFront(dataDir)
  child.stderr.pipe(process.stderr)
  const exited = once(child, 'exit')
  const [line] = await Promise.race([once(child.stdout, 'data'), exited.then(() => ['{}'])])
  const ready = JSON.parse(String(line)) as { ready?: boolean; port: number; pid: number; version: string }
  if (!ready.ready) throw new Error('The front ended before it was ready')
  const url = `http://127.0.0.1:${ready.port}`
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })

  function client(options: ClickHouseClientConfigOptions = {}) {
    const { CLICKHOUSE_FRONT_USER: username, CLICKHOUSE_FRONT_PASSWORD: password } = FRONT_ENVIRONMENT
    const opened = createClient({ url, username, password, log: { level: ClickHouseLogLevel.OFF }, ...options })
    t.teardown(() => opened.close())
    return opened
  }

  /** What the client cannot do: a request as it is. */
  function send(search: string | URLSearchParams, { body, headers }: RawRequest = {}): Promise<Response> {
    const bytes = Buffer.isBuffer(body) ? new Uint8Array(body) : body
    return fetch(`${url}/?${search}`, { method: 'POST', body: bytes, headers: { ...FRONT_HEADERS, ...headers } })
  }

  return { ready, url, dataDir, child, client, send, exited }
}

interface RawRequest {
  body?: Buffer | string | undefined
  headers?: Record<string, string> | undefined
}

export function spawnFront(dataDir: string) {
  return spawn(process.execPath, [FRONT_SCRIPT, '--data', dataDir], {
    env: { ...process.env, ...FRONT_ENVIRONMENT },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

export async function textOf(child: ChildProcess): Promise<string> {
  let text = ''
  child.stderr?.on('data', (chunk) => {
    text += String(chunk)
  })
  await once(child, 'close')
  return text
}

/** The rows of a query, as JSON values. */
export async function rowsOf<Row>(
  client: FrontClient,
  query: string,
  options: Partial<Parameters<FrontClient['query']>[0]> = {},
): Promise<Row[]> {
  return (await client.query({ ...options, query, format: 'JSONEachRow' })).json<Row>()
}

/** Whether the engine is busy with exactly one statement that starts so. */
export async function isRunning(client: FrontClient, query: string): Promise<boolean> {
  const processes = 'SELECT count() AS n FROM system.processes WHERE startsWith(query, {query:String})'
  return (await rowsOf<{ n: number }>(client, processes, { query_params: { query } }))[0]?.n === 1
}

export async function failureOf(work: Promise<unknown>): Promise<ClickHouseError> {
  const error = await work.then(
    () => new Error('it succeeded'),
    (cause: unknown) => cause,
  )
  if (error instanceof ClickHouseError) return error
  throw error
}

export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`Not within 20 s: ${what}`)
    await delay(10)
  }
}

export function residentBytes(pid: number): number {
  const status = `/proc/${pid}/status`
  const kilobytes = existsSync(status)
    ? /VmRSS:\s*(\d+)/.exec(readFileSync(status, 'utf8'))?.[1]
    : execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })
  return Number(kilobytes) * 1024
}
