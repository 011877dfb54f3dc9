import type { ProjectScope } from '../../http/access.ts'
import type { CapturedEvent } from './captured-event.ts'
import {
  type ByteString,
  nullableTimeColumn,
  type RowColumns,
  type RowOf,
  stringColumn,
  timeColumn,
  toBytes,
  uint32Column,
} from './row.ts'
import type { Violation } from './violation.ts'

export const QUARANTINE_TABLE = 'quarantined_events'

/** The columns of an item in the order in which a row holds them: first what a copy of the event repeats, see row.ts. */
export const QUARANTINE_ROW = [
  ['organization_id', 'string'],
  ['project_id', 'string'],
  ['event', 'string'],
  ['message_id', 'string'],
  ['payload', 'string'],
  ['reason', 'string'],
  ['violations', 'string'],
  ['plan_version', 'uint32'],
  ['status', 'string'],
  ['sent_at', 'nullable time'],
  ['received_at', 'time'],
  // Below 2^63, where signed and unsigned integers are the same bytes.
  ['revision', 'time'],
  ['changed_at', 'time'],
  ['changed_by', 'string'],
] as const satisfies RowColumns

export const QUARANTINE_COLUMNS: readonly string[] = QUARANTINE_ROW.map(([name]) => name)
export type QuarantineRow = RowOf<typeof QUARANTINE_ROW>

const GENERATION = 2 ** 43

/** By how many generations a change raises an item's revision over the one that it read. */
const RAISE = { discard: 1, replay: 2, refusal: 4 } as const

/**
 * The revision of a changed item. Changes that cross each other end rightly: a replay stored an event, so it outlives a discard; a
 * refusal of ClickHouse that follows a replay opens the item again, however late the replay's own row is written.
 */
export const raised = (revision: number, by: keyof typeof RAISE): number => revision + RAISE[by] * GENERATION

/** The revision of an item that arrives: between two copies of one event the one that was received first stays. */
export const arrivalRevision = (receivedAtMs: number): number => GENERATION - receivedAtMs

const contentOf = (row: QuarantineRow): ByteString =>
  [row.organization_id, row.project_id, row.event, row.message_id, row.payload].map(textColumn).join('')

const textColumn = (text: string): ByteString => stringColumn(toBytes(text))

/** The item as its row. */
export function encodeQuarantineRow(row: QuarantineRow, content: ByteString = contentOf(row)): ByteString {
  return (
    content +
    textColumn(row.reason) +
    textColumn(row.violations) +
    uint32Column(row.plan_version) +
    textColumn(row.status) +
    nullableTimeColumn(row.sent_at ?? undefined) +
    timeColumn(row.received_at) +
    timeColumn(row.revision) +
    timeColumn(row.changed_at) +
    textColumn(row.changed_by)
  )
}

export const quarantineBytes = (row: QuarantineRow): Buffer => Buffer.from(encodeQuarantineRow(row), 'latin1')

/** An event that a rule keeps out of the store. */
export interface KeptApart {
  messageId: string
  retryStable: boolean
  event: string
  /** JSON text of the event as its sender gave it. */
  payload: string
  /** Code of the rule, as in `plan.violation`. */
  reason: string
  violations: readonly Violation[]
  planVersion: number
  receivedAtMs: number
  sentAtMs: number | undefined
}

/** The event as admission to the lane `quarantine` takes it. A copy that is sent again is recognized by its payload. */
export function captureApart({ organizationId, projectId }: ProjectScope, kept: KeptApart): CapturedEvent {
  const { messageId, retryStable, receivedAtMs } = kept
  const row: QuarantineRow = {
    organization_id: organizationId,
    project_id: projectId,
    event: kept.event,
    message_id: messageId,
    payload: kept.payload,
    reason: kept.reason,
    violations: JSON.stringify(kept.violations),
    plan_version: kept.planVersion,
    status: 'open',
    sent_at: kept.sentAtMs ?? null,
    received_at: receivedAtMs,
    revision: arrivalRevision(receivedAtMs),
    changed_at: receivedAtMs,
    changed_by: 'door',
  }
  const content = contentOf(row)
  const idEnd = content.length - textColumn(row.payload).length
  return {
    messageId,
    retryStable,
    occurredAtMs: receivedAtMs,
    idPlace: { start: idEnd - toBytes(messageId).length, end: idEnd },
    row: encodeQuarantineRow(row, content),
    contentBytes: content.length,
  }
}
