import type { Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { FieldError } from '../../errors.ts'
import { shapeEnrichment } from '../events/index.ts'
import type { Span } from './buckets.ts'
import { type Condition, readFilters } from './conditions.ts'
import { decodeCursor, encodeCursor, type Position } from './cursor.ts'
import { refuse, refuseFaults } from './errors.ts'
import type { EventsAnswer, EventsQuery } from './explorer-schemas.ts'
import { textField } from './fields.ts'
import { Filters } from './filter-schema.ts'
import { compileConditions, opaqueTime } from './filters.ts'
import { createParameters } from './parameters.ts'
import { ENRICHED, EventRow, eventsOfProject, newestKeys } from './queries.ts'
import { growingWindows, readOpenSpan } from './spans.ts'

/** A checked search of the explorer. */
export interface ExplorerPlan {
  span: Span
  conditions: Condition[]
  after: Position | undefined
  limit: number
  /** Names the search, without its page, for the cursor. */
  search: string
}

/** Query parameters that are filters on a text column. */
const EQUALITIES = ['event', 'userId', 'anonymousId', 'distinctId', 'messageId'] as const
const PATH = '/querystring'

/** Checks the query parameters. Throws one 400 that names every faulty one. */
export function planExplorer(query: EventsQuery): ExplorerPlan {
  const { cursor, limit, ...rest } = query
  const search = JSON.stringify(Object.entries(rest).sort())
  const faults: FieldError[] = []
  const span = readOpenSpan(query, PATH, faults)
  const equalities = EQUALITIES.flatMap((name): Condition[] => {
    const value = query[name]
    return value === undefined
      ? []
      : [{ field: textField(name), negated: false, test: { kind: 'isOneOf', values: [value] } }]
  })
  const conditions = [...equalities, ...readFilters(parseFilters(query.filters), `${PATH}/filters`, faults)]
  refuseFaults(faults)
  const after = cursor === undefined ? undefined : decodeCursor(cursor, search)
  if (cursor !== undefined && !after) refuse(`${PATH}/cursor`, 'is not a cursor of this search')
  return { span, conditions, after, limit, search }
}

function parseFilters(text: string | undefined): Static<typeof Filters> {
  if (text === undefined) return []
  let filters: unknown
  try {
    filters = JSON.parse(text)
  } catch (error) {
    return refuse(
      `${PATH}/filters`,
      `must be the JSON text of an array of filters (${error instanceof Error ? error.message : error})`,
    )
  }
  const [fault] = Value.Errors(Filters, filters)
  return fault ? refuse(`${PATH}/filters${fault.path}`, fault.message) : (filters as Static<typeof Filters>)
}

/** The spans to search in turn until the page is full. */
export function explorerWindows({ span, after }: ExplorerPlan, nowMs: number): Span[] {
  const toMs = after ? Math.min(span.toMs, after.timestampMs + 1) : span.toMs
  return growingWindows({ fromMs: span.fromMs, toMs }, Math.min(toMs, nowMs))
}

/**
 * One page within the window, and one row more if there are more. The inner select finds the page's keys in narrow columns; only then
 * are the wide ones read. The place after the cursor is a value and not a count, so new events do not shift the pages.
 */
export function explorerStatement({ conditions, after, limit }: ExplorerPlan, window: Span) {
  const { bind, values } = createParameters()
  const wanted = compileConditions(conditions, bind)
  if (after) {
    const place = [bind(after.timestampMs, 'Int64'), bind(after.messageId, 'String'), bind(after.event, 'String')]
    wanted.push(`(${opaqueTime('occurred_at')}, message_id, event) < (${place.join(', ')})`)
  }
  const sql = `SELECT
  message_id AS messageId, event, type, user_id AS userId, anonymous_id AS anonymousId, group_id AS groupId,
  toUnixTimestamp64Milli(occurred_at) AS timestampMs, toUnixTimestamp64Milli(received_at) AS receivedAtMs,
  toUnixTimestamp64Milli(sent_at) AS sentAtMs, ${ENRICHED},
  properties, traits, context
${eventsOfProject([window], [newestKeys([window], wanted, limit + 1, bind)], bind)}
ORDER BY occurred_at DESC, message_id DESC, event DESC`
  return { sql, params: values, schema: EventRow }
}

export function explorerAnswer(
  { limit, search }: ExplorerPlan,
  rows: readonly Static<typeof EventRow>[],
): Omit<EventsAnswer, 'meta'> {
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return { data: page.map(toEvent), nextCursor: last && rows.length > limit ? encodeCursor(last, search) : null }
}

function toEvent({
  timestampMs,
  receivedAtMs,
  sentAtMs,
  ...row
}: Static<typeof EventRow>): EventsAnswer['data'][number] {
  return {
    messageId: row.messageId,
    event: row.event,
    type: row.type,
    userId: row.userId || null,
    anonymousId: row.anonymousId || null,
    groupId: row.groupId || null,
    timestamp: new Date(timestampMs).toISOString(),
    receivedAt: new Date(receivedAtMs).toISOString(),
    sentAt: sentAtMs === null ? null : new Date(sentAtMs).toISOString(),
    ...shapeEnrichment(row),
    properties: parseObject(row.properties),
    traits: parseObject(row.traits),
    context: parseObject(row.context),
  }
}

/** The column is empty where the event came without. */
const parseObject = (text: string): Record<string, unknown> => (text === '' ? {} : JSON.parse(text))
