import { type Static, Type } from '@sinclair/typebox'
import type { Redis } from 'ioredis'
import type { ProjectScope } from '../../http/access.ts'
import type { ClickHouse } from '../../infra/clickhouse.ts'
import { QUARANTINE_TABLE } from './quarantine-row.ts'
import { createMemory } from './remembered.ts'

/** Where an event is. `unknown` is what every project is told about the events of others. */
export const Receipt = Type.Object(
  {
    messageId: Type.String(),
    status: Type.Union(
      (['buffered', 'stored', 'rejected', 'quarantined', 'unknown'] as const).map((status) => Type.Literal(status)),
      {
        description: `buffered: on disk and on its way to the event store. stored: queries show it. rejected: accepted at the door and
refused by the event store; it is kept. quarantined: set aside for repair. unknown: never accepted in this project; a refusal at the
door is told to the sender and counted, and leaves no receipt.`,
      },
    ),
    event: Type.Optional(Type.String({ description: 'Name of the event.' })),
    timestamp: Type.Optional(Type.String({ format: 'date-time', description: 'When it happened.' })),
    receivedAt: Type.Optional(Type.String({ format: 'date-time', description: 'When its first copy was received.' })),
    storedCopies: Type.Optional(
      Type.Integer({
        description: `How many events queries show for this messageId: 1, or more when the id was used for events of another name or
another day after the door had forgotten it.`,
      }),
    ),
    reason: Type.Optional(Type.String({ description: 'Why it is not stored.' })),
  },
  {
    description: 'Where the event is.',
    examples: [
      {
        messageId: 'order-1001',
        status: 'stored',
        event: 'Order Completed',
        timestamp: '2026-01-31T12:00:00.000Z',
        receivedAt: '2026-01-31T12:00:00.412Z',
        storedCopies: 1,
      },
    ],
  },
)
export type Receipt = Static<typeof Receipt>

interface ReceiptDependencies {
  redis: Redis
  shards: number
  deduplicationWindowMs: number
  clickhouse: Pick<ClickHouse, 'query'>
}

export type Receipts = ReturnType<typeof createReceipts>

const StoredRow = Type.Object({ event: Type.String(), timestampMs: Type.Integer(), receivedAtMs: Type.Integer() })

/** Not FINAL, which would read the whole project to find one event: the first copy is chosen among the few that the index finds. */
const STORED = `
  SELECT event, toUnixTimestamp64Milli(argMin(timestamp, received_at)) AS timestampMs,
    toUnixTimestamp64Milli(min(received_at)) AS receivedAtMs
  FROM events
  WHERE organization_id = {organizationId:String} AND project_id = {projectId:String} AND message_id = {messageId:String}
  GROUP BY event, toDate(events.timestamp)
  ORDER BY receivedAtMs`

const ApartRow = Type.Object({ event: Type.String(), reason: Type.String() })
const REFUSED_BY_STORE = 'store.refused'

/** The item of the event that waits for repair. */
const APART = `
  SELECT event, reason FROM ${QUARANTINE_TABLE} FINAL
  WHERE organization_id = {organizationId:String} AND project_id = {projectId:String} AND message_id = {messageId:String}
    AND status = 'open'`

/**
 * Says where one event is. It looks in the order in which events travel, the door first, so that one that moves on meanwhile is found
 * further down the road and never reported as unknown.
 */
export function createReceipts({ redis, shards, deduplicationWindowMs, clickhouse }: ReceiptDependencies) {
  const isRemembered = createMemory({ redis, shards, deduplicationWindowMs })

  return async (scope: ProjectScope, messageId: string): Promise<Receipt> => {
    const isBuffered = await isRemembered(scope, 'live', messageId)
    const { rows } = await clickhouse.query(scope, { sql: STORED, params: { messageId }, schema: StoredRow })
    const [first] = rows
    if (first) {
      const [timestamp, receivedAt] = [first.timestampMs, first.receivedAtMs].map((ms) => new Date(ms).toISOString())
      return { messageId, status: 'stored', event: first.event, timestamp, receivedAt, storedCopies: rows.length }
    }
    const apart = (await clickhouse.query(scope, { sql: APART, params: { messageId }, schema: ApartRow })).rows[0]
    if (apart) {
      const { event, reason } = apart
      return { messageId, status: reason.startsWith(REFUSED_BY_STORE) ? 'rejected' : 'quarantined', event, reason }
    }
    if (isBuffered) return { messageId, status: 'buffered' }
    return { messageId, status: (await isRemembered(scope, 'quarantine', messageId)) ? 'quarantined' : 'unknown' }
  }
}
