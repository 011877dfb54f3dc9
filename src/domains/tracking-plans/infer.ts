import { DIALECT, PARTS, pointerSegment, schemaFaults } from './dialect.ts'
import { hasFormat } from './formats.ts'
import type { JsonSchema } from './keywords.ts'

export interface SampledEvent {
  properties: Record<string, unknown>
  traits: Record<string, unknown>
  context: Record<string, unknown>
  /** Tells people apart; empty for nobody. */
  person: string
}

/** What a sample says of one field. */
export interface ObservedField {
  /** JSON pointer inside the event, with `*` for positions in an array and for names that look like data. */
  path: string
  /** In how many of the objects around it the field is. */
  presence: number
  /** How many of its values are of which type. */
  types: Record<string, number>
  format?: string
  values?: string[]
}

interface Observed {
  value: unknown
  person: string
}

const DEPTHS = [8, 5, 3, 2]
/** From so many objects on, a field that all of them have is called required. */
const REQUIRED_FROM = 10
const INTEGER_FROM = 50
const NAMES_MAX = 60
const ITEMS_MAX = 5000
const FORMATS = ['date-time', 'date', 'uuid', 'email', 'uri']
/**
 * Values are named only when they look like a closed list and at least so many different people have sent each of them: one that few
 * people share may say who they are.
 */
const VALUE = { max: 12, lengthMax: 40, people: 5, sharedBy: 10 }
/** Names that somebody wrote into a program; what has an at sign or a long number in it is more likely data. */
const PLAIN_NAME = /^(?!.*\d{4})[A-Za-z_$][\w$ .:-]{0,63}$/

/**
 * Proposes a schema that all of the sampled events meet, and says what it was made of. What SDKs add by themselves (`context`) is
 * described and left open. Values of events appear in it only as `VALUE` allows.
 */
export function inferSchema(events: readonly SampledEvent[]): { schema: JsonSchema; fields: ObservedField[] } {
  for (const depth of DEPTHS) {
    const fields: ObservedField[] = []
    const parts = PARTS.map((part): [string, JsonSchema] => {
      const observed = events.map((event) => ({ value: event[part], person: event.person }))
      return [part, describeObjects(observed, `/${part}`, depth, fields)]
    })
    const described = parts.filter(
      ([part, { properties }]) => part === 'properties' || (part === 'traits' && properties),
    )
    const schema = { $schema: DIALECT, type: 'object', properties: Object.fromEntries(described) }
    if (schemaFaults(schema, '').length === 0) return { schema, fields }
  }
  const open = { $schema: DIALECT, type: 'object', properties: { properties: { type: 'object' } } }
  return { schema: open, fields: [] }
}

function describe(
  observed: Observed[],
  path: string,
  presence: number,
  depth: number,
  fields: ObservedField[],
): JsonSchema {
  const byType = Map.groupBy(observed, ({ value }) => typeOf(value))
  const types = Object.fromEntries([...byType].map(([type, values]) => [type, values.length]))
  const field: ObservedField = { path, presence: Math.round(presence * 10_000) / 10_000, types }
  fields.push(field)
  const names = schemaTypes(types)
  const schema: JsonSchema = { type: names.length === 1 ? names[0] : names }
  const texts = byType.get('string')
  if (texts) describeTexts(texts, field, schema, names)
  if (depth === 0) return schema
  const objects = byType.get('object')
  if (objects) Object.assign(schema, describeObjects(objects, path, depth, fields), { type: schema.type })
  const items = (byType.get('array') ?? []).flatMap(({ value, person }) =>
    (value as unknown[]).map((item) => ({ value: item, person })),
  )
  // More items than these might differ from them, so nothing is said.
  if (items.length > 0 && items.length <= ITEMS_MAX) schema.items = describe(items, `${path}/*`, 1, depth - 1, fields)
  return schema
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

/** A field of whole numbers is called one only after many: a price that was round a few times is still a price. */
function schemaTypes({ integer = 0, number = 0, ...others }: Record<string, number>): string[] {
  const numeric = integer + number === 0 ? [] : number > 0 || integer < INTEGER_FROM ? ['number'] : ['integer']
  return [...numeric, ...Object.keys(others)].sort()
}

function describeTexts(texts: Observed[], field: ObservedField, schema: JsonSchema, types: string[]): void {
  const format = FORMATS.find((name) => texts.every(({ value }) => hasFormat(name, value as string)))
  if (format && texts.length >= REQUIRED_FROM) {
    field.format = format
    schema.format = format
  }
  const values = format ? undefined : sharedValues(texts)
  if (!values) return
  field.values = values
  // An enum speaks of every type, so it is left out where more than texts and null were seen.
  if (types.every((type) => type === 'string' || type === 'null'))
    schema.enum = types.includes('null') ? [...values, null] : values
}

function sharedValues(texts: Observed[]): string[] | undefined {
  const people = new Map<string, Set<string>>()
  for (const { value, person } of texts) {
    const text = value as string
    const known = people.get(text)
    if (known) known.add(person)
    else if (people.size === VALUE.max || text.length > VALUE.lengthMax) return undefined
    else people.set(text, new Set([person]))
  }
  const isClosed = people.size * VALUE.sharedBy <= texts.length
  const isShared = [...people.values()].every(({ size }) => size >= VALUE.people)
  return isClosed && isShared ? [...people.keys()].sort() : undefined
}

function describeObjects(objects: Observed[], path: string, depth: number, fields: ObservedField[]): JsonSchema {
  const named = new Map<string, Observed[]>()
  const others: Observed[] = []
  for (const { value, person } of objects) {
    for (const [name, member] of Object.entries(value as object)) {
      if (!PLAIN_NAME.test(name)) others.push({ value: member, person })
      else named.getOrInsertComputed(name, () => []).push({ value: member, person })
    }
  }
  // So many names are keys of a collection, and each of them is data.
  if (named.size > NAMES_MAX) {
    others.push(...[...named.values()].flat())
    named.clear()
  }
  const schema: JsonSchema = { type: 'object' }
  const names = [...named].sort(([a, one], [b, two]) => two.length - one.length || (a < b ? -1 : 1))
  const members = names.map(([name, values]): [string, JsonSchema] => {
    const at = `${path}/${pointerSegment(name)}`
    return [name, describe(values, at, values.length / objects.length, depth - 1, fields)]
  })
  if (members.length > 0) schema.properties = Object.fromEntries(members)
  const required = names.filter(([, values]) => values.length === objects.length && objects.length >= REQUIRED_FROM)
  if (required.length > 0) schema.required = required.map(([name]) => name)
  if (others.length > 0) schema.additionalProperties = describe(others, `${path}/*`, 1, depth - 1, fields)
  return schema
}
