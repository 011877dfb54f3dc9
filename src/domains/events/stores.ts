import type { Row } from './batch.ts'
import type { Lane } from './buffer.ts'
import { QUARANTINE_ROW, QUARANTINE_TABLE, type QuarantineRow } from './quarantine-row.ts'
import { type EventRow, ROW, type RowColumns } from './row.ts'

/** What an item of the quarantine says about an event. */
export interface Rebuilt {
  event: string
  payload: string
  sentAtMs: number | null
}

/** The table that a lane ends in, and how a row of it is turned back into the event when the table refuses it. */
export interface Store {
  table: string
  columns: RowColumns
  rebuild: (row: Row) => Rebuilt
}

const EVENTS: Store = {
  table: 'events',
  columns: ROW,
  rebuild: ({ values }) => rebuildEvent(values as unknown as EventRow),
}

const QUARANTINE: Store = {
  table: QUARANTINE_TABLE,
  columns: QUARANTINE_ROW,
  rebuild: ({ values }) => {
    const { event, payload, sent_at: sentAtMs } = values as unknown as QuarantineRow
    return { event, payload, sentAtMs }
  },
}

export const STORES: Record<Lane, Store> = { live: EVENTS, import: EVENTS, quarantine: QUARANTINE }

/**
 * The event as a sender could have written it. Its time is stated, whoever gave it, so that a replay keeps it; its bags are the text
 * that they were, not read and written again.
 */
export function rebuildEvent(row: EventRow): Rebuilt {
  const said = JSON.stringify({
    event: row.event,
    messageId: row.message_id,
    type: row.type,
    userId: row.user_id || undefined,
    anonymousId: row.anonymous_id || undefined,
    groupId: row.group_id || undefined,
    timestamp: new Date(row.timestamp).toISOString(),
  })
  const bags = (['properties', 'traits', 'context'] as const)
    .filter((name) => row[name] !== '')
    .map((name) => `,"${name}":${row[name]}`)
  return { event: row.event, payload: `${said.slice(0, -1)}${bags.join('')}}`, sentAtMs: row.sent_at }
}
