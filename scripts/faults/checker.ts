import { ClickHouseLogLevel, createClient } from '@clickhouse/client'
import pg from 'pg'
import type { Account } from './ledger.ts'
import type { Organization } from './organizations.ts'
import { askApi } from './public-api.ts'
import type { Stack } from './stack.ts'

/** Ledger against store, for one organization. Everything but the first block and `copies` has to be 0. */
export interface Verdict {
  attempted: number
  acknowledged: number
  stored: number
  /** Rows before FINAL: copies that identity absorbs. */
  copies: number
  lost: number
  phantom: number
  duplicate: number
  /** Valid events that were refused for good. */
  rejected: number
  /** Attempted, and without a final answer at the end. */
  unknown: number
  /** What each source of a bill says less what is stored, by its name. */
  deltaBilled: Record<string, number>
  /** Ways in which the public API does not show what is stored, in words. */
  apiFaults: string[]
  /** A few ids of each kind of fault. */
  examples: string[]
}

const EXAMPLES_MAX = 5

export async function check(stack: Stack, account: Account, organization: Organization): Promise<Verdict> {
  const { attempted, acknowledged } = account
  const rows = await storedIds(stack, organization)
  const stored = new Set(rows.ids)
  const lost = [...acknowledged].filter((id) => !stored.has(id))
  const phantom = [...stored].filter((id) => !attempted.has(id))
  const api = await askApi(stack, organization, stored)
  const examples = [
    ...lost.slice(0, EXAMPLES_MAX).map((id) => `lost ${id}`),
    ...phantom.slice(0, EXAMPLES_MAX).map((id) => `phantom ${id}`),
  ]
  return {
    attempted: attempted.size,
    acknowledged: acknowledged.size,
    stored: stored.size,
    copies: rows.written,
    lost: lost.length,
    phantom: phantom.length,
    duplicate: rows.ids.length - stored.size,
    rejected: account.rejected.size,
    unknown: account.unknown,
    deltaBilled: {
      usage: api.usage - stored.size,
      trend: api.trend - stored.size,
      'accepted counter': (await acceptedCounter(stack, organization)) - stored.size - account.acceptedAgain,
      ...(await usageWindows(stack, organization, stored.size)),
    },
    apiFaults: api.faults,
    examples,
  }
}

/** Straight from ClickHouse, past every wire: ids as FINAL shows them, and how many rows were written. */
async function storedIds({ clickhouseUrl }: Stack, { projectId }: Organization) {
  const client = createClient({ url: clickhouseUrl, request_timeout: 120_000, log: { level: ClickHouseLogLevel.OFF } })
  try {
    const select = (columns: string, final: string) =>
      client.query({
        query: `SELECT ${columns} FROM events ${final} WHERE project_id = {projectId:String}`,
        query_params: { projectId },
        format: 'JSONCompactEachRow',
      })
    const ids: string[] = []
    for await (const page of (await select('message_id', 'FINAL')).stream<[string]>()) {
      for (const row of page) ids.push(row.json()[0])
    }
    const [count] = await (await select('count()', '')).json<[string]>()
    return { ids, written: Number(count?.[0]) }
  } finally {
    await client.close()
  }
}

/** What admission counted in Redis, in the same step as it queued, over all months. */
async function acceptedCounter({ buffer }: Stack, { organizationId }: Organization): Promise<number> {
  const keys = await buffer.keys('mh:{*}:accepted:*')
  const counts = await Promise.all(keys.map((key) => buffer.hget(key, organizationId)))
  return counts.reduce((sum, count) => sum + Number(count ?? 0), 0)
}

/** Longer than the rest that the recount of a large project takes. */
const WINDOWS_TIMEOUT_MS = 150_000

/** The recomputed windows of the bill, once they have settled; nothing where this version has none. */
async function usageWindows(
  { services }: Stack,
  { organizationId }: Organization,
  expected: number,
): Promise<Record<string, number>> {
  const url = new URL(services.postgres.adminUrl)
  url.pathname = new URL(services.postgres.ownerUrl).pathname
  const client = new pg.Client({ connectionString: url.href })
  await client.connect()
  try {
    const { rows: tables } = await client.query(`select to_regclass('usage_windows') is not null as exists`)
    if (!tables[0]?.exists) return {}
    let sum = 0
    for (const deadline = Date.now() + WINDOWS_TIMEOUT_MS; ; ) {
      const { rows } = await client.query(
        'select coalesce(sum(events), 0) as sum from usage_windows where organization_id = $1',
        [organizationId],
      )
      sum = Number(rows[0]?.sum)
      if (sum === expected || Date.now() > deadline) return { 'usage windows': sum - expected }
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
  } finally {
    await client.end()
  }
}
