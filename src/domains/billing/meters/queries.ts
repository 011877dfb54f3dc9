import { type Static, Type } from '@sinclair/typebox'
import { compileConditions, createParameters, groupText, opaqueTime, type Parameters } from '../../insights/index.ts'
import type { Measure } from './measure.ts'

type Bind = Parameters['bind']

/** Which events are measured: by their own time, and by when the first copy of each was received. */
export interface Extent {
  fromMs: number
  /** Exclusive. */
  toMs: number
  /** Inclusive. */
  receivedThroughMs?: number | undefined
  /** Exclusive. */
  receivedAfterMs?: number | undefined
  projectId?: string | undefined
}

/** By what a measure can be split, and how a row of the answer names it. */
const DIMENSIONS = {
  hour: 'intDiv(at, 3600000)',
  day: 'intDiv(at, 86400000)',
  project: 'project_id',
  event: 'event',
  group: 'grouped',
} as const
export type Dimension = keyof typeof DIMENSIONS

const MeasuredRow = Type.Object({
  keys: Type.Array(Type.String()),
  value: Type.String(),
  counted: Type.String(),
  skipped: Type.String(),
  hash: Type.String(),
})

const FRACTION_DIGITS = 12
/** Past it a value is skipped, so that no sum of as many events as there can be leaves its type. */
const VALUE_MAX = `toDecimal256('1e30', ${FRACTION_DIGITS})`

/**
 * What a meter says of an organization's events, each once, as one statement. Sums are of decimals, so neither the order of the rows nor
 * their parts can change a digit; the hash is a sum over the rows for the same reason, and hours sum to their day. Only the day of an
 * event, which all its copies share, leaves out what is not read; everything else is compared after FINAL has chosen the first copy.
 */
export function measureStatement(measure: Measure, extent: Extent, by: readonly Dimension[] = []) {
  const { bind, values } = createParameters()
  const grouped = measure.groupBy.map((field) => jsonOf(field, groupText(field, bind)))
  const columns = by.includes('group')
    ? [`concat('[', arrayStringConcat([${grouped.join(', ')}]::Array(String), ','), ']') AS grouped`]
    : []
  const keys = by.map((name) => `toString(${DIMENSIONS[name]})`)
  const sql = `
    SELECT [${keys.join(', ')}]::Array(String) AS keys, ${aggregateOf(measure)} AS value,
      toString(countIf(used)) AS counted, toString(countIf(NOT used)) AS skipped,
      toString(sumIf(${ROW_HASH}, used)) AS hash
    FROM (${rowsSelect(measure, extent, bind, { columns })})
    ${by.length > 0 ? `GROUP BY ${by.map((name) => DIMENSIONS[name]).join(', ')} ORDER BY keys` : ''}`
  return { sql, params: values, schema: MeasuredRow }
}

/** A value by which events are grouped, as JSON: null where there is none. */
function jsonOf({ kind }: Measure['groupBy'][number], text: string): string {
  if (kind === 'json') return `transform(${text}, ['', '-0'], ['null', '0'])`
  return kind === 'flag' ? text : `if(${text} = '', 'null', toJSONString(${text}))`
}

export const RowOfHour = Type.Object({
  event: Type.String(),
  messageId: Type.String(),
  atMs: Type.Integer(),
  receivedMs: Type.Integer(),
  value: Type.Union([Type.String(), Type.Null()]),
})

export type RowOfHour = Static<typeof RowOfHour>

/** The events that a measure is made of, by name and id, from after a place on. An extent of one day and project names each once. */
export function rowsStatement(
  measure: Measure,
  extent: Extent,
  { after, limit }: { after: { event: string; messageId: string } | undefined; limit: number },
) {
  const { bind, values } = createParameters()
  const place = after && `(event, message_id) > (${bind(after.event, 'String')}, ${bind(after.messageId, 'String')})`
  const sql = `
    SELECT event, message_id AS messageId, at AS atMs, received AS receivedMs, if(used, text, NULL) AS value
    FROM (${rowsSelect(measure, extent, bind, { conditions: place ? [place] : [] })})
    ORDER BY event, message_id LIMIT ${bind(limit, 'UInt32')}`
  return { sql, params: values, schema: RowOfHour }
}

/** The events of an extent with the value that a measure takes from each. */
function rowsSelect(
  measure: Measure,
  extent: Extent,
  bind: Bind,
  { columns = [], conditions = [] }: { columns?: string[]; conditions?: string[] },
): string {
  const { value, used, text } = measuredOf(measure, bind)
  const selected = [
    'project_id, event, message_id, toUnixTimestamp64Milli(timestamp) AS at',
    'toUnixTimestamp64Milli(received_at) AS received',
    ...[`${value} AS found`, `${used} AS used`, `${text} AS text`, ...columns],
  ]
  const wanted = [...withinExtent(extent, bind), ...chosen(measure, bind), ...conditions]
  return `SELECT ${selected.join(', ')} FROM events FINAL WHERE ${wanted.join('\n      AND ')}`
}

/**
 * What is known of one row, each part with its length before it so that no two rows read alike, as a number of 256 bits. Anybody can
 * compute it again: the sum is modulo 2^256, the digest's first byte the least.
 */
const ROW_PARTS = ['project_id', 'event', 'message_id', 'toString(at)', 'toString(received)', 'text']
const ROW_HASH = `reinterpretAsUInt256(SHA256(concat(${ROW_PARTS.map((part) => `toString(length(${part})), ':', ${part}`).join(', ')})))`

/** A JSON value as others write it, too: a string as it is, a number as the decimal that is used. */
const JSON_TEXT = `if(startsWith(found, '"'), JSONExtractString(found), ifNull(toString(toDecimal256OrNull(found, ${FRACTION_DIGITS})), found))`

/** The value of a row, whether it can be used, and its text. A number is a JSON number; text of digits is not one. */
function measuredOf({ aggregation, property }: Measure, bind: Bind) {
  if (!property) return { value: '0', used: 'true', text: "''" }
  const raw = groupText(property, bind)
  if (aggregation === 'unique') {
    const text = property.kind === 'json' ? JSON_TEXT : 'found'
    return { value: raw, used: "found NOT IN ('', 'null')", text }
  }
  const number = `toDecimal256OrNull(${raw}, ${FRACTION_DIGITS})`
  return {
    value: `assumeNotNull(ifNull(${number}, ${VALUE_MAX} + 1))`,
    used: `abs(found) <= ${VALUE_MAX}`,
    text: 'toString(found)',
  }
}

function aggregateOf({ aggregation }: Measure): string {
  switch (aggregation) {
    case 'count':
      return 'toString(countIf(used))'
    case 'sum':
    case 'max':
      return `toString(${aggregation}If(found, used))`
    case 'unique':
      return 'toString(uniqExactIf(found, used))'
    case 'latest':
      return 'toString(argMaxIf(found, (at, received, message_id, event, project_id), used))'
  }
}

/** The events that the meter is about. */
function chosen({ events, conditions }: Measure, bind: Bind): string[] {
  return [...(events ? [`event IN ${bind(events, 'Array(String)')}`] : []), ...compileConditions(conditions, bind)]
}

function withinExtent(extent: Extent, bind: Bind): string[] {
  const { fromMs, toMs, receivedThroughMs, receivedAfterMs, projectId } = extent
  const day = (ms: number) => `toDate(fromUnixTimestamp64Milli(${bind(ms, 'Int64')}, 'UTC'))`
  const [time, received] = [opaqueTime('timestamp'), opaqueTime('received_at')]
  return [
    'organization_id = {organizationId:String}',
    ...(projectId === undefined ? [] : [`project_id = ${bind(projectId, 'String')}`]),
    `toDate(timestamp) >= ${day(fromMs)}`,
    `toDate(timestamp) <= ${day(Math.max(fromMs, toMs - 1))}`,
    `${time} >= ${bind(fromMs, 'Int64')}`,
    `${time} < ${bind(toMs, 'Int64')}`,
    ...(receivedThroughMs === undefined ? [] : [`${received} <= ${bind(receivedThroughMs, 'Int64')}`]),
    ...(receivedAfterMs === undefined ? [] : [`${received} > ${bind(receivedAfterMs, 'Int64')}`]),
  ]
}
