import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client'

const FRONT = fileURLToPath(new URL('../embedded/clickhouse-front.ts', import.meta.url))
const CREDENTIALS = { username: 'probe', password: 'probe' }

/** A table that makes the promises of the event store: on disk when acknowledged, and a memory for tokens. */
export const TABLE = `CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id
  SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1`

export interface Front {
  pid: number
  client: ClickHouseClient
  insert: (ids: number[], token?: string) => Promise<void>
  ids: () => Promise<number[]>
  /** kill -9. */
  kill: () => Promise<void>
}

/** Runs a probe in a directory of its own that is gone afterwards, whatever happened. */
export async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'mh-probe-'))
  try {
    await work(directory)
  } finally {
    for (const child of children) child.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true, maxRetries: 10 })
  }
}

const children = new Set<ChildProcess>()

/** Starts the embedded engine behind its front and waits until it answers. */
export async function startFront(directory: string): Promise<Front> {
  const child = spawnFront(directory)
  const exited = once(child, 'exit')
  const [line] = await Promise.race([once(child.stdout, 'data'), exited.then(() => ['{}'])])
  const { port, pid } = JSON.parse(String(line)) as { port?: number; pid: number }
  if (!port) throw new Error(`the engine did not start in ${directory}`)
  const client = createClient({
    url: `http://127.0.0.1:${port}`,
    ...CREDENTIALS,
    log: { level: ClickHouseLogLevel.OFF },
  })
  const insert = async (ids: number[], token?: string) => {
    const values = ids.map((id) => ({ id, name: 'x'.repeat(50) }))
    const settings = token ? { insert_deduplication_token: token, insert_deduplicate: 1 as const } : {}
    await client.insert({ table: 't', values, format: 'JSONEachRow', clickhouse_settings: settings })
  }
  const ids = async () => {
    const result = await client.query({ query: 'SELECT id FROM t ORDER BY id', format: 'JSONEachRow' })
    return (await result.json<{ id: string }>()).map((row) => Number(row.id))
  }
  const kill = async () => {
    child.kill('SIGKILL')
    await exited
    await client.close()
  }
  return { pid, client, insert, ids, kill }
}

export function spawnFront(directory: string) {
  const child = spawn(process.execPath, [FRONT, '--data', directory], {
    env: {
      ...process.env,
      CLICKHOUSE_FRONT_USER: CREDENTIALS.username,
      CLICKHOUSE_FRONT_PASSWORD: CREDENTIALS.password,
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}
