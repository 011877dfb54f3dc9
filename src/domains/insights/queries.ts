import { type TInteger, type TString, Type } from '@sinclair/typebox'
import { ENRICHMENT_COLUMNS, SKEW_MS_MAX } from '../events/index.ts'
import type { Span } from './buckets.ts'
import { opaqueTime } from './filters.ts'
import type { Parameters } from './parameters.ts'

type Bind = Parameters['bind']

const NumberOrNull = Type.Union([Type.Number(), Type.Null()])

export const TrendRow = Type.Object({
  series: Type.Integer(),
  keys: Type.Array(Type.String()),
  groups: Type.Integer(),
  rows: Type.Integer(),
  previousRows: Type.Integer(),
  total: NumberOrNull,
  previousTotal: NumberOrNull,
  buckets: Type.Array(Type.Integer()),
  points: Type.Array(NumberOrNull),
})

/**
 * The events of one project, each once, that lie in one of the spans (given in order) and meet the conditions. The days bound what is
 * read, by the sort key and the partitions, and reach as far beyond the spans as a sender's clock may have been wrong; the exact times
 * are compared after FINAL has chosen the copy of each event that counts.
 */
export function eventsOfProject(spans: readonly Span[], conditions: readonly string[], bind: Bind): string {
  const [first, last] = [spans.at(0), spans.at(-1)]
  if (!first || !last) throw new Error('a statement over events needs a span')
  const time = opaqueTime('occurred_at')
  const within = spans.map(
    ({ fromMs, toMs }) => `(${time} >= ${bind(fromMs, 'Int64')} AND ${time} < ${bind(toMs, 'Int64')})`,
  )
  const where = [
    'organization_id = {organizationId:String}',
    'project_id = {projectId:String}',
    `toDate(timestamp) >= ${dayOf(Math.max(0, first.fromMs - SKEW_MS_MAX), bind)}`,
    `toDate(timestamp) <= ${dayOf(last.toMs - 1 + SKEW_MS_MAX, bind)}`,
    `(${within.join(' OR ')})`,
    ...conditions,
  ]
  return `FROM events FINAL\n  WHERE ${where.join('\n    AND ')}`
}

const dayOf = (ms: number, bind: Bind) => `toDate(fromUnixTimestamp64Milli(${bind(ms, 'Int64')}, 'UTC'))`

const Enriched = Object.fromEntries(
  ENRICHMENT_COLUMNS.map(([, key, type]) => [key, type === 'String' ? Type.String() : Type.Integer()]),
) as { [C in (typeof ENRICHMENT_COLUMNS)[number] as C[1]]: C[2] extends 'String' ? TString : TInteger }

/** The columns of an enrichment under the names of its keys. */
export const ENRICHED = ENRICHMENT_COLUMNS.map(([column, key]) => (column === key ? key : `${column} AS ${key}`)).join(
  ', ',
)

/** The column values of whole events. */
export const EventRow = Type.Object({
  messageId: Type.String(),
  event: Type.String(),
  type: Type.String(),
  userId: Type.String(),
  anonymousId: Type.String(),
  groupId: Type.String(),
  timestampMs: Type.Integer(),
  receivedAtMs: Type.Integer(),
  sentAtMs: Type.Union([Type.Integer(), Type.Null()]),
  ...Enriched,
  properties: Type.String(),
  traits: Type.String(),
  context: Type.String(),
})

/** A condition that holds for the newest events that meet the conditions. Finding them reads no wide column that they do not name. */
export function newestKeys(spans: readonly Span[], conditions: readonly string[], limit: number, bind: Bind): string {
  return `(event, toDate(timestamp), message_id) IN (
    SELECT event, toDate(timestamp), message_id
    ${eventsOfProject(spans, conditions, bind)}
    ORDER BY occurred_at DESC, message_id DESC, event DESC
    LIMIT ${bind(limit, 'UInt32')}
  )`
}

export const EventNameRow = Type.Object({
  event: Type.String(),
  events: Type.Integer(),
  firstMs: Type.Integer(),
  lastMs: Type.Integer(),
})

export const PropertyRow = Type.Object({ path: Type.Array(Type.String()), type: Type.String(), events: Type.Integer() })

export const ValueRow = Type.Object({ key: Type.String(), events: Type.Integer() })
