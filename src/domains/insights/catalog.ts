import type { Static } from '@sinclair/typebox'
import type { FieldError } from '../../errors.ts'
import type { Span } from './buckets.ts'
import type {
  EventNamesAnswer,
  EventNamesQuery,
  PropertiesAnswer,
  PropertiesQuery,
  ValuesAnswer,
  ValuesQuery,
} from './catalog-schemas.ts'
import { refuse, refuseFaults } from './errors.ts'
import { ENRICHED_FIELDS, formatField, parseField } from './fields.ts'
import { groupText } from './filters.ts'
import { createParameters, type Parameters } from './parameters.ts'
import { EventNameRow, eventsOfProject, newestKeys, PropertyRow, ValueRow } from './queries.ts'
import { readOpenSpan, recentDays, type SpanInput } from './spans.ts'
import type { BreakdownField } from './trend.ts'
import { toValue } from './trend-answer.ts'

type Bind = Parameters['bind']

const PATH = '/querystring'
export const SAMPLE_EVENTS = 2000
const PROPERTY_ROWS_MAX = 3000
/** Objects are opened so deep: the column itself and three levels below it. */
const LEVELS = 4

/** Which names events have, how often, and when they were first and last seen. */
export function eventNamesStatement(query: EventNamesQuery, nowMs: number) {
  const { bind, values } = createParameters()
  const conditions = query.search === undefined ? [] : [containsText('event', query.search, bind)]
  const sql = `SELECT event, count() AS events, toUnixTimestamp64Milli(min(occurred_at)) AS firstMs, toUnixTimestamp64Milli(max(occurred_at)) AS lastMs
${eventsOfProject([recentSpan(query, nowMs)], conditions, bind)}
GROUP BY event
ORDER BY events DESC, event
LIMIT ${bind(query.limit, 'UInt32')}`
  return { sql, params: values, schema: EventNameRow }
}

export function eventNamesAnswer(rows: readonly Static<typeof EventNameRow>[]): EventNamesAnswer['data'] {
  return rows.map(({ event, events, firstMs, lastMs }) => ({
    event,
    count: events,
    firstSeen: new Date(firstMs).toISOString(),
    lastSeen: new Date(lastMs).toISOString(),
  }))
}

/** What is added on arrival, as if it were JSON: only the first character, which tells the type, is looked at. */
const ENRICHED_NODES = ENRICHED_FIELDS.map(({ name, column, type }) =>
  type === 'flag' ? `(['${name}'], 't')` : `(['${name}'], if(${column} = '', '', '"'))`,
).join(', ')
const ENRICHED_NAMES = new Set(ENRICHED_FIELDS.map(({ name }) => name))

/**
 * Every path and JSON type in the latest events of the span. Each step replaces objects by their members; the empty path stands for the event
 * itself and counts the sample.
 */
export function propertiesStatement(query: PropertiesQuery, span: Span) {
  const { bind, values } = createParameters()
  const conditions = query.event === undefined ? [] : [`event = ${bind(query.event, 'String')}`]
  let nodes = `SELECT arrayJoin([([]::Array(String), ''), (['properties'], properties), (['traits'], traits), (['context'], context), ${ENRICHED_NODES}]) AS node
${eventsOfProject([span], [newestKeys([span], conditions, SAMPLE_EVENTS, bind)], bind)}`
  const members = 'arrayMap(member -> (arrayPushBack(node.1, member.1), member.2), JSONExtractKeysAndValuesRaw(node.2))'
  for (let level = 0; level < LEVELS; level++) {
    nodes = `SELECT arrayJoin(if(startsWith(node.2, '{'), ${members}, [node])) AS node FROM (${nodes})`
  }
  const sql = `SELECT node.1 AS path,
  transform(substring(node.2, 1, 1), ['', '"', '{', '[', 't', 'f', 'n'], ['none', 'string', 'object', 'array', 'boolean', 'boolean', 'null'], 'number') AS type,
  count() AS events
FROM (${nodes})
GROUP BY path, type
ORDER BY events DESC, path, type
LIMIT ${bind(PROPERTY_ROWS_MAX, 'UInt32')}`
  return { sql, params: values, schema: PropertyRow }
}

export function propertiesAnswer({ search = '' }: PropertiesQuery, rows: readonly Static<typeof PropertyRow>[]) {
  const fields = new Map<string, PropertiesAnswer['data'][number]>()
  for (const { path, type, events } of rows) {
    const [column = '', ...inner] = path
    const isEnriched = ENRICHED_NAMES.has(column)
    // A column without an object in it, a text that is empty, or a member whose name is empty, which no field can name.
    if (isEnriched ? type === 'none' : inner.length === 0 || inner.includes('')) continue
    const field = isEnriched ? column : formatField(column, inner)
    if (!field.toLowerCase().includes(search.toLowerCase())) continue
    const entry = fields.get(field) ?? { field, count: 0, types: [] }
    entry.types.push({ type, count: events })
    if (type !== 'null') entry.count += events
    fields.set(field, entry)
  }
  const data = [...fields.values()].sort((a, b) => b.count - a.count || (a.field < b.field ? -1 : 1))
  return { data, sampled: rows.find(({ path }) => path.length === 0)?.events ?? 0 }
}

/** The most frequent values of a field. The search runs over the groups and not over the rows. */
export function valuesStatement(query: ValuesQuery, nowMs: number) {
  const { bind, values } = createParameters()
  const field = parseField(query.field)
  if (typeof field === 'string') return refuse(`${PATH}/field`, field)
  if (field.kind === 'time') return refuse(`${PATH}/field`, 'is a time, which has no typical values')
  const isJson = field.kind === 'json'
  const conditions = query.event === undefined ? [] : [`event = ${bind(query.event, 'String')}`]
  const isWanted = [
    `key NOT IN ('', ${isJson ? "'null'" : "''"})`,
    ...(query.search === undefined
      ? []
      : [containsText(isJson ? `if(startsWith(key, '"'), JSONExtractString(key), key)` : 'key', query.search, bind)]),
  ]
  const sql = `SELECT ${groupText(field, bind)} AS key, count() AS events
${eventsOfProject([recentSpan(query, nowMs)], conditions, bind)}
GROUP BY key
HAVING ${isWanted.join(' AND ')}
ORDER BY events DESC, key
LIMIT ${bind(query.limit, 'UInt32')}`
  return { sql, params: values, schema: ValueRow, kind: field.kind }
}

export function valuesAnswer(
  kind: BreakdownField['field']['kind'],
  rows: readonly Static<typeof ValueRow>[],
): ValuesAnswer['data'] {
  return rows.map(({ key, events }) => ({ value: toValue(kind, key) ?? '', count: events }))
}

function containsText(expression: string, text: string, bind: Bind): string {
  return `positionCaseInsensitiveUTF8(${expression}, ${bind(text, 'String')}) > 0`
}

export function recentSpan(range: Partial<SpanInput>, nowMs: number): Span {
  const faults: FieldError[] = []
  const span = readOpenSpan(range, PATH, faults, recentDays(nowMs))
  refuseFaults(faults)
  return span
}
