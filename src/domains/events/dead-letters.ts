import type { FastifyBaseLogger } from 'fastify'
import type { ClickHouse } from '../../infra/clickhouse.ts'
import type { Metrics } from '../../infra/metrics.ts'
import { type Row, rowIdentity } from './batch.ts'
import type { Outcomes } from './outcomes.ts'
import { arrivalRevision, QUARANTINE_COLUMNS, QUARANTINE_TABLE, quarantineBytes, raised } from './quarantine-row.ts'
import type { Rebuilt } from './stores.ts'

/** A row that ClickHouse refuses, and its words for why. */
export interface Refused {
  row: Row
  reason: string
}

interface Dependencies {
  clickhouse: Pick<ClickHouse, 'client' | 'insertRows'>
  /** Makes the door forget events, so that a repaired copy is news to it. */
  forget: (rows: readonly Row[]) => Promise<void>
  rebuild: (row: Row) => Rebuilt
  outcomes: Pick<Outcomes, 'count'>
  metrics: Metrics
  log: FastifyBaseLogger
}

export type SetAside = (refused: readonly Refused[]) => Promise<void>

/**
 * Keeps rows that ClickHouse refuses where their tenant sees them, can repair and replay them. Resolves once they are stored; doing it
 * twice changes nothing but a revision. The door forgets before the item shows, or a replay that follows at once would be taken for
 * a duplicate of an event that nobody has.
 */
export function createDeadLetters({ clickhouse, forget, rebuild, outcomes, metrics, log }: Dependencies): SetAside {
  return async (refused) => {
    if (refused.length === 0) return
    const rows = refused.map(({ row }) => row)
    await forget(rows)
    const revisions = await revisionsOf(rows)
    const items = refused.map(({ row, reason }) => toItem(row, reason, revisions.get(row.identity) ?? 0))
    // Without a token: the same row twice is one row, and none may be dropped for looking like another.
    const settings = { async_insert: 0, insert_deduplicate: 0, max_insert_block_size: 1_000_000 }
    await clickhouse.insertRows(QUARANTINE_TABLE, QUARANTINE_COLUMNS, items, settings)
    metrics.deadLetters.inc(refused.length)
    for (const { organization_id: organizationId, project_id: projectId } of rows.map(({ values }) => values))
      outcomes.count({ organizationId, projectId }, 'deadLetter')
    log.error({ rows: refused.length, reason: refused[0]?.reason }, 'ClickHouse refuses rows; they were set aside')
  }

  function toItem(row: Row, reason: string, knownRevision: number): Buffer {
    const { event, payload, sentAtMs } = rebuild(row)
    const { organization_id, project_id, message_id, received_at } = row.values
    return quarantineBytes({
      organization_id,
      project_id,
      event,
      message_id,
      payload,
      reason: `store.refused: ${reason}`,
      violations: '[]',
      plan_version: 0,
      status: 'open',
      sent_at: sentAtMs,
      received_at,
      revision: raised(Math.max(arrivalRevision(received_at), knownRevision), 'refusal'),
      changed_at: Date.now(),
      changed_by: 'sink',
    })
  }

  /** What is known of these events already: a refusal that follows a replay has to come out on top of it. */
  async function revisionsOf(rows: readonly Row[]): Promise<Map<string, number>> {
    const distinct = (name: 'organization_id' | 'project_id' | 'message_id') => [
      ...new Set(rows.map(({ values }) => values[name])),
    ]
    const result = await clickhouse.client.query({
      query: `SELECT project_id, message_id, toFloat64(max(revision)) FROM ${QUARANTINE_TABLE}
              WHERE organization_id IN {organizations:Array(String)} AND project_id IN {projects:Array(String)}
                AND message_id IN {messageIds:Array(String)}
              GROUP BY project_id, message_id`,
      query_params: {
        organizations: distinct('organization_id'),
        projects: distinct('project_id'),
        messageIds: distinct('message_id'),
      },
      format: 'JSONCompactEachRow',
    })
    const known = await result.json<[string, string, number]>()
    return new Map(known.map(([projectId, messageId, revision]) => [rowIdentity(projectId, messageId), revision]))
  }
}
