/** An item of `quarantined_events`, by its columns; see clickhouse/0004_quarantine.sql. */
export interface QuarantinedRow {
  organizationId: string
  projectId: string
  messageId: string
  event: string
  receivedAtMs: number
  sentAtMs: number | null
  /** JSON text of the event. */
  payload: string
  reason: string
  /** JSON text of an array of { path, keyword, message }. */
  violations: string
  planVersion: number
  status: 'open' | 'replayed' | 'discarded'
  revision: number
  changedAtMs: number
  changedBy: string
}

export const QUARANTINE_TABLE = 'quarantined_events'

export const QUARANTINE_COLUMNS = [
  'organization_id',
  'project_id',
  'message_id',
  'event',
  'received_at',
  'sent_at',
  'payload',
  'reason',
  'violations',
  'plan_version',
  'status',
  'revision',
  'changed_at',
  'changed_by',
] as const

const GENERATION = 2 ** 43

/**
 * By how many generations a change raises an item's revision over the one that it read. Changes that cross each other end rightly: a
 * replay stored an event, so it outlives a discard; a refusal of ClickHouse that follows a replay opens the item again, however late
 * the replay's own row is written.
 */
export const RAISE = { discard: 1, replay: 2, refusal: 4 } as const

export const raised = (revision: number, by: keyof typeof RAISE): number => revision + RAISE[by] * GENERATION

/** The revision of an item that arrives: between two copies of one event the one that was received first stays. */
export const arrivalRevision = (receivedAtMs: number): number => GENERATION - receivedAtMs

/** `2026-01-31 23:59:59.999`, always UTC, which is the zone of the columns. */
const toClickHouseTime = (ms: number) => new Date(ms).toISOString().replace('T', ' ').slice(0, 23)

/** The row as one JSON line. */
export function quarantineLine(row: QuarantinedRow): Buffer {
  const time = (ms: number | null) => (ms === null ? null : toClickHouseTime(ms))
  const values: Record<(typeof QUARANTINE_COLUMNS)[number], unknown> = {
    organization_id: row.organizationId,
    project_id: row.projectId,
    message_id: row.messageId,
    event: row.event,
    received_at: time(row.receivedAtMs),
    sent_at: time(row.sentAtMs),
    payload: row.payload,
    reason: row.reason,
    violations: row.violations,
    plan_version: row.planVersion,
    status: row.status,
    revision: row.revision,
    changed_at: time(row.changedAtMs),
    changed_by: row.changedBy,
  }
  return Buffer.from(`${JSON.stringify(values)}\n`)
}
