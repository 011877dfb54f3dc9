import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type ClickHouseClientConfigOptions, ClickHouseLogLevel, createClient } from '@clickhouse/client'
import type { Test } from 'tap'

export const FRONT_SCRIPT = fileURLToPath(new URL('../../scripts/embedded/clickhouse-front.ts', import.meta.url))
export const FRONT_ENVIRONMENT = { CLICKHOUSE_FRONT_USER: 'meterhouse', CLICKHOUSE_FRONT_PASSWORD: 'it is a "secret"' }

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

  return { ready, url, dataDir, child, client, exited }
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
