import { hash } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import type { ClickHouse } from '../../infra/clickhouse.ts'
import type { Metrics } from '../../infra/metrics.ts'
import type { Row } from './batch.ts'
import { arrivalRevision, QUARANTINE_COLUMNS, QUARANTINE_TABLE, quarantineLine, raised } from './quarantine-row.ts'

/** A row that ClickHouse refuses, and its words for why. */
export interface Refused {
  row: Row
  reason: string
}

interface Dependencies {
  clickhouse: Pick<ClickHouse, 'client' | 'insertLines'>
  /** Makes the door forget events, so that a repaired copy is news to it. */
  forget: (rows: readonly Row[]) => Promise<void>
  metrics: Metrics
  log: FastifyBaseLogger
}

export type SetAside = (refused: readonly Refused[]) => Promise<void>

/**
 * Keeps rows that ClickHouse refuses where their tenant sees them, can repair and replay them. Resolves once they are stored; doing it
 * twice changes nothing but a revision. The door forgets before the item shows, or a replay that follows at once would be taken for
 * a duplicate of an event that nobody has.
 */
export function createDeadLetters({ clickhouse, forget, metrics, log }: Dependencies): SetAside {
  return async (refused) => {
    if (refused.length === 0) return
    const rows = refused.map(({ row }) => row)
    await forget(rows)
    const revisions = await revisionsOf(rows)
    const changedAtMs = Date.now()
    const lines = refused.map(({ row, reason }) => {
      const known = Math.max(arrivalRevision(row.receivedAtMs), revisions.get(row.identity) ?? 0)
      return quarantineLine({
        organizationId: row.organizationId,
        projectId: row.projectId,
        messageId: row.messageId,
        receivedAtMs: row.receivedAtMs,
        ...contentOf(row),
        reason: `store.refused: ${reason}`,
        violations: '[]',
        planVersion: 0,
        status: 'open',
        revision: raised(known, 'refusal'),
        changedAtMs,
        changedBy: 'sink',
      })
    })
    await clickhouse.insertLines(QUARANTINE_TABLE, QUARANTINE_COLUMNS, lines, {
      async_insert: 0,
      insert_deduplicate: 0,
      max_insert_block_size: 1_000_000,
    })
    metrics.deadLetters.inc(refused.length)
    for (const { reason } of refused) log.error({ reason }, 'ClickHouse refuses a row; it was set aside')
  }

  /** What is known of these events already: a refusal after a replay has to come out on top of it. */
  async function revisionsOf(rows: readonly Row[]): Promise<Map<string, number>> {
    const result = await clickhouse.client.query({
      query: `SELECT project_id, message_id, toFloat64(max(revision)) FROM ${QUARANTINE_TABLE}
              WHERE organization_id IN {organizations:Array(String)} AND project_id IN {projects:Array(String)}
                AND message_id IN {messageIds:Array(String)}
              GROUP BY project_id, message_id`,
      query_params: {
        organizations: [...new Set(rows.map((row) => row.organizationId))],
        projects: [...new Set(rows.map((row) => row.projectId))],
        messageIds: rows.map((row) => row.messageId),
      },
      format: 'JSONCompactEachRow',
    })
    const known = await result.json<[string, string, number]>()
    return new Map(known.map(([projectId, messageId, revision]) => [rowIdentity(projectId, messageId), revision]))
  }
}
