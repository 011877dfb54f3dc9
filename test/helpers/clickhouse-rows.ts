import { once } from 'node:events'
import { Readable } from 'node:stream'
import type { FrontClient } from './clickhouse-front.ts'

let tables = 0

/** A table of the client's database that keeps its promises: on disk when acknowledged, and a window for tokens. */
export async function makeTable(client: FrontClient): Promise<string> {
  tables += 1
  const query = `CREATE TABLE t${tables} (id UInt64, name String) ENGINE = MergeTree ORDER BY id
    SETTINGS non_replicated_deduplication_window = 100, fsync_after_insert = 1, fsync_part_directory = 1`
  await client.command({ query })
  return `t${tables}`
}

export async function contentOf(client: FrontClient, table: string): Promise<string> {
  const query = `SELECT * FROM ${table} ORDER BY ALL`
  return (await client.query({ query, format: 'JSONCompactEachRow' })).text()
}

export function jsonRows(from: number, count: number, nameBytes = 10): Buffer {
  const name = 'x'.repeat(nameBytes)
  return Buffer.from(Array.from({ length: count }, (_, i) => `{"id":${from + i},"name":"${name}"}\n`).join(''))
}

/** Sends rows as the bytes they are. */
export async function insertBytes(client: FrontClient, table: string, bytes: Buffer, settings = 'async_insert=0') {
  const query = `INSERT INTO ${table} (id, name) SETTINGS ${settings} FORMAT JSONEachRow`
  const { stream, summary } = await client.exec({ query, values: Readable.from([bytes], { objectMode: false }) })
  await once(stream.resume(), 'end')
  return summary
}
