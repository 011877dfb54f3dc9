import { ClickHouseLogLevel, createClient } from '@clickhouse/client'
import { BACKDATED_MS } from './batch.ts'

/** The de-duplication token in the head of an HTTP request that inserts, wherever the statement stands in it. */
export function insertTokenOf(chunk: Buffer): string | undefined {
  const text = chunk.toString('latin1').replaceAll('+', ' ')
  return (
    decodeURIComponent(text.match(/insert_deduplication_token\s?(?:=|%3D)\s?(?:'|%27)(.+?)(?:'|%27)/)?.[1] ?? '') ||
    undefined
  )
}

/** Spends a token on one row in each month that the generator writes to. */
export async function poisonToken(url: string, token: string): Promise<boolean> {
  const client = createClient({ url, log: { level: ClickHouseLogLevel.OFF } })
  const nowMs = Date.now()
  const rows = [nowMs, nowMs - BACKDATED_MS].map(
    (ms) => `('org_nobody', 'prj_nobody', 'Nothing', fromUnixTimestamp64Milli(${ms}), 'nothing', now64(3))`,
  )
  try {
    await client.command({
      query: `INSERT INTO events (organization_id, project_id, event, timestamp, message_id, received_at)
              SETTINGS async_insert = 0, insert_deduplicate = 1, insert_deduplication_token = '${token.replaceAll("'", "\\'")}'
              VALUES ${rows.join(', ')}`,
    })
    return true
  } catch {
    // The store is away; the fault did not strike.
    return false
  } finally {
    await client.close()
  }
}
