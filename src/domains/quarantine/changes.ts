import type { Static } from '@sinclair/typebox'
import type { ClickHouse, ProjectScope } from '../../infra/clickhouse.ts'
import { QUARANTINE_COLUMNS, QUARANTINE_TABLE, quarantineBytes, raised } from '../events/index.ts'
import type { ItemRow } from './queries.ts'

/** Who changes an item, as it is written down: user:… or key:…. */
export type Actor = string

/** An insert of its own outcome: writing a change twice writes the same row, so no token is needed and none may swallow it. */
const SETTINGS = { async_insert: 0, insert_deduplicate: 0, max_insert_block_size: 1_000_000 }

/** Changes of status. A change is a row with a higher revision, never an update. */
export function createChanges(clickhouse: Pick<ClickHouse, 'client' | 'insertRows'>) {
  return {
    /**
     * Closes items whose events the door has taken. The revision follows from the one that was read before the door was asked, so
     * whatever happened to an event after it was taken is the later change.
     */
    async markReplayed(scope: ProjectScope, items: readonly Static<typeof ItemRow>[], by: Actor): Promise<void> {
      if (items.length === 0) return
      const changedAtMs = Date.now()
      const rows = items.map((item) =>
        quarantineBytes({
          organization_id: scope.organizationId,
          project_id: scope.projectId,
          event: item.event,
          message_id: item.messageId,
          payload: item.payload,
          reason: item.reason,
          violations: item.violations,
          plan_version: item.planVersion,
          status: 'replayed',
          sent_at: item.sentAtMs,
          received_at: item.receivedAtMs,
          revision: raised(item.revision, 'replay'),
          changed_at: changedAtMs,
          changed_by: by,
        }),
      )
      await clickhouse.insertRows(QUARANTINE_TABLE, QUARANTINE_COLUMNS, rows, SETTINGS)
    },

    /** Closes open items for good. Payloads are copied inside of ClickHouse and never travel. */
    async discard(scope: ProjectScope, messageIds: readonly string[], by: Actor): Promise<void> {
      if (messageIds.length === 0) return
      const changed: Record<string, string> = {
        status: `'discarded'`,
        revision: `revision + {step:UInt64}`,
        changed_at: 'fromUnixTimestamp64Milli({nowMs:Int64})',
        changed_by: '{by:String}',
      }
      const settings = Object.entries(SETTINGS).map(([name, value]) => `${name} = ${value}`)
      await clickhouse.client.command({
        query: `INSERT INTO ${QUARANTINE_TABLE} (${QUARANTINE_COLUMNS.join(', ')}) SETTINGS ${settings.join(', ')}
SELECT ${QUARANTINE_COLUMNS.map((column) => changed[column] ?? column).join(', ')} FROM ${QUARANTINE_TABLE} FINAL
WHERE organization_id = {organizationId:String} AND project_id = {projectId:String} AND status = 'open'
  AND message_id IN {messageIds:Array(String)}`,
        query_params: { ...scope, messageIds, by, nowMs: Date.now(), step: raised(0, 'discard') },
      })
    },
  }
}
export type Changes = ReturnType<typeof createChanges>
