/** Where a field lives: in a text column, in a time column, or at a path inside one of the JSON columns. */
export type Field =
  | { kind: 'text'; name: TextField; column: string }
  | { kind: 'time'; name: TimeField; column: string }
  | JsonField

export interface JsonField {
  kind: 'json'
  column: JsonColumn
  path: string[]
}

export type TextField = keyof typeof TEXT_COLUMNS
type TimeField = keyof typeof TIME_COLUMNS
type JsonColumn = (typeof JSON_COLUMNS)[number]

/** The empty string in one of these columns means that the event has no such field. */
const TEXT_COLUMNS = {
  event: 'event',
  type: 'type',
  userId: 'user_id',
  anonymousId: 'anonymous_id',
  groupId: 'group_id',
  distinctId: 'distinct_id',
  messageId: 'message_id',
} as const
const TIME_COLUMNS = { timestamp: 'timestamp', receivedAt: 'received_at' } as const
const JSON_COLUMNS = ['properties', 'traits', 'context'] as const

const PATH_DEPTH_MAX = 8
const KNOWN = [
  ...Object.keys(TEXT_COLUMNS),
  ...Object.keys(TIME_COLUMNS),
  ...JSON_COLUMNS.map((name) => `${name}.…`),
].join(', ')

/**
 * Reads the name of a field: `userId`, `properties.total`, `context.page.url`. A dot steps into an object; `\.` is a dot inside of a
 * name and `\\` a backslash. A string says what is wrong with the name.
 */
export function parseField(name: string): Field | string {
  if (isKeyOf(TEXT_COLUMNS, name)) return textField(name)
  if (isKeyOf(TIME_COLUMNS, name)) return { kind: 'time', name, column: TIME_COLUMNS[name] }
  const [head = '', ...path] = splitPath(name)
  const column = JSON_COLUMNS.find((candidate) => candidate === head)
  if (!column) return `is not a field; there are ${KNOWN}`
  if (path.length === 0) return `must name something inside of ${column}, as in ${column}.name`
  return explainPath(path) ?? { kind: 'json', column, path }
}

export const textField = (name: TextField): Field => ({ kind: 'text', name, column: TEXT_COLUMNS[name] })

/** Reads the `property` of a series: `total` is `properties.total`, and a full name is taken as such. */
export function parseProperty(name: string): Field | string {
  return parseField(JSON_COLUMNS.some((column) => name.startsWith(`${column}.`)) ? name : `properties.${name}`)
}

/** The name under which `parseField` finds this path again. */
export function formatField(column: string, path: readonly string[]): string {
  return [column, ...path.map((segment) => segment.replaceAll('\\', '\\\\').replaceAll('.', '\\.'))].join('.')
}

function splitPath(name: string): string[] {
  const segments = ['']
  for (let at = 0; at < name.length; at++) {
    const escaped = name[at] === '\\' && (name[at + 1] === '.' || name[at + 1] === '\\')
    if (escaped) at += 1
    if (name[at] === '.' && !escaped) segments.push('')
    else segments.push(segments.pop() + (name[at] ?? ''))
  }
  return segments
}

function explainPath(path: string[]): string | undefined {
  if (path.length > PATH_DEPTH_MAX) return `may step into ${PATH_DEPTH_MAX} levels`
  if (path.includes('')) return 'has an empty part between its dots; write \\. for a dot inside of a name'
  if (!path.every((segment) => segment.isWellFormed())) return 'holds half of a surrogate pair'
  return undefined
}

function isKeyOf<T extends object>(map: T, name: string): name is Extract<keyof T, string> {
  return Object.hasOwn(map, name)
}
