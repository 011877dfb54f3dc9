/** Where a field lives: in a column of text, of times or of flags, or at a path inside one of the JSON columns. */
export type Field =
  | { kind: 'text'; name: TextField; column: string }
  | { kind: 'time'; name: TimeField; column: string }
  | { kind: 'flag'; name: FlagField; column: string }
  | JsonField

export interface JsonField {
  kind: 'json'
  column: JsonColumn
  path: string[]
}

export type TextField = keyof typeof TEXT_COLUMNS
type TimeField = keyof typeof TIME_COLUMNS
type FlagField = keyof typeof FLAG_COLUMNS
type JsonColumn = (typeof JSON_COLUMNS)[number]

/** Text that is added to an event when it arrives. */
const ENRICHED_COLUMNS = {
  'geo.country': 'country',
  'geo.region': 'region',
  'geo.city': 'city',
  'device.type': 'device_type',
  'device.browser': 'browser',
  'device.browserVersion': 'browser_version',
  'device.os': 'os',
  'device.osVersion': 'os_version',
  'source.channel': 'channel',
  'source.referrerDomain': 'referrer_domain',
  'source.utmSource': 'utm_source',
  'source.utmMedium': 'utm_medium',
  'source.utmCampaign': 'utm_campaign',
  'source.utmTerm': 'utm_term',
  'source.utmContent': 'utm_content',
  botSignals: 'bot_signals',
  ip: 'ip',
} as const

/** The empty string in one of these columns means that the event has no such field. */
const TEXT_COLUMNS = {
  event: 'event',
  type: 'type',
  userId: 'user_id',
  anonymousId: 'anonymous_id',
  groupId: 'group_id',
  distinctId: 'distinct_id',
  messageId: 'message_id',
  ...ENRICHED_COLUMNS,
} as const
/** An event's time is the corrected one; the column `timestamp` is the sender's own and serves identity and pruning alone. */
const TIME_COLUMNS = { timestamp: 'occurred_at', receivedAt: 'received_at' } as const
const FLAG_COLUMNS = { isBot: 'is_bot' } as const
const JSON_COLUMNS = ['properties', 'traits', 'context'] as const

const PATH_DEPTH_MAX = 8
const KNOWN = [
  ...Object.keys(TEXT_COLUMNS),
  ...Object.keys(TIME_COLUMNS),
  ...Object.keys(FLAG_COLUMNS),
  ...JSON_COLUMNS.map((name) => `${name}.…`),
].join(', ')

/**
 * Reads the name of a field: `userId`, `properties.total`, `context.page.url`. A dot steps into an object; `\.` is a dot inside of a
 * name and `\\` a backslash. A string says what is wrong with the name.
 */
export function parseField(name: string): Field | string {
  if (isKeyOf(TEXT_COLUMNS, name)) return textField(name)
  if (isKeyOf(TIME_COLUMNS, name)) return { kind: 'time', name, column: TIME_COLUMNS[name] }
  if (isKeyOf(FLAG_COLUMNS, name)) return { kind: 'flag', name, column: FLAG_COLUMNS[name] }
  const [head = '', ...path] = splitPath(name)
  const column = JSON_COLUMNS.find((candidate) => candidate === head)
  if (!column) return `is not a field; there are ${KNOWN}`
  if (path.length === 0) return `must name something inside of ${column}, as in ${column}.name`
  return explainPath(path) ?? { kind: 'json', column, path }
}

/** The fields that an event may have without its sender having named them, for pickers. */
export const ENRICHED_FIELDS: readonly { name: string; column: string; type: 'text' | 'flag' }[] = [
  ...Object.entries(ENRICHED_COLUMNS).map(([name, column]) => ({ name, column, type: 'text' as const })),
  ...Object.entries(FLAG_COLUMNS).map(([name, column]) => ({ name, column, type: 'flag' as const })),
]

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
