import type { FieldError } from '../../errors.ts'
import { COMBINATIONS, isObject, type JsonSchema, RULES, SPEAKS_OF } from './keywords.ts'

/** What one schema may cost. The number of branches bounds how often one value of an event is looked at. */
export const SCHEMA_LIMITS = { bytes: 32_768, schemas: 300, depth: 16, branches: 32, patterns: 50 } as const
export const PARTS = ['properties', 'traits', 'context'] as const
export const DIALECT = 'https://json-schema.org/draft/2020-12/schema'

export const pointerSegment = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1')

/**
 * Everything that keeps a schema from being one that plans take: JSON Schema 2020-12 without references, patterns for names, and whatever
 * cannot be checked in linear time. Every fault has a pointer under `base`.
 */
export function schemaFaults(schema: unknown, base: string): FieldError[] {
  const faults = rootFaults(schema)
  if (faults.length === 0 && isObject(schema)) {
    const { $schema, ...root } = schema
    faults.push(...treeFaults({ type: 'object', ...root }))
  }
  return faults.map(({ path, message }) => ({ path: base + path, message }))
}

/** The schema of an event describes its three objects and nothing else. */
function rootFaults(schema: unknown): FieldError[] {
  if (!isObject(schema)) return [{ path: '', message: 'must be a schema, which is an object' }]
  if (Buffer.byteLength(JSON.stringify(schema)) > SCHEMA_LIMITS.bytes)
    return [{ path: '', message: `may have at most ${SCHEMA_LIMITS.bytes} bytes` }]
  const faults: FieldError[] = []
  for (const keyword of Object.keys(schema)) {
    if (['$schema', 'title', 'description', 'type', 'properties'].includes(keyword)) continue
    const message = 'has no place at the top, which describes properties, traits and context'
    faults.push({ path: `/${pointerSegment(keyword)}`, message })
  }
  const { $schema = DIALECT, type = 'object', properties } = schema
  if ($schema !== DIALECT) faults.push({ path: '/$schema', message: `must be ${DIALECT}` })
  if (type !== 'object') faults.push({ path: '/type', message: 'must be object' })
  if (!isObject(properties)) return [...faults, { path: '/properties', message: 'must be an object of schemas' }]
  for (const [name, part] of Object.entries(properties)) {
    const path = `/properties/${pointerSegment(name)}`
    if (!PARTS.includes(name as 'traits')) faults.push({ path, message: `is none of ${PARTS.join(', ')}` })
    else if (!isObject(part) || part.type !== 'object')
      faults.push({ path, message: 'must be a schema of the type object' })
  }
  return faults
}

interface Place {
  schema: unknown
  path: string
  depth: number
  /** The types that the schemas around this one have already said of the same value. */
  types: readonly string[]
}

function treeFaults(root: JsonSchema): FieldError[] {
  const faults: FieldError[] = []
  const spent = { schemas: 0, branches: 0, patterns: 0 }
  const open: Place[] = [{ schema: root, path: '', depth: 0, types: [] }]
  for (let place = open.pop(); place; place = open.pop()) {
    const { schema, path, depth } = place
    if (!isObject(schema)) {
      faults.push({ path, message: 'must be a schema, which is an object' })
      continue
    }
    if (depth > SCHEMA_LIMITS.depth) return [{ path, message: `is inside more than ${SCHEMA_LIMITS.depth} schemas` }]
    const types = schema.type === undefined ? place.types : [schema.type].flat().map(String)
    const inside = insideOf(schema, path)
    spent.schemas++
    spent.branches += inside.filter(({ sameValue }) => sameValue).length
    spent.patterns += 'pattern' in schema ? 1 : 0
    // Told at once, before the rest is looked at, which could be large.
    for (const name of ['schemas', 'branches', 'patterns'] as const) {
      if (spent[name] > SCHEMA_LIMITS[name])
        return [{ path: '', message: `may have at most ${SCHEMA_LIMITS[name]} ${name} in all` }]
    }
    faults.push(...keywordFaults(schema, path, types))
    for (const { sameValue, ...one } of inside) open.push({ ...one, depth: depth + 1, types: sameValue ? types : [] })
  }
  return faults
}

function keywordFaults(schema: JsonSchema, path: string, types: readonly string[]): FieldError[] {
  return Object.entries(schema).flatMap(([keyword, value]) => {
    const at = `${path}/${pointerSegment(keyword)}`
    if (!Object.hasOwn(RULES, keyword)) return [{ path: at, message: 'is not a keyword that a tracking plan knows' }]
    const message = RULES[keyword]?.(value)
    if (message !== undefined) return [{ path: at, message }]
    const type = SPEAKS_OF.get(keyword)
    const isSpokenOf = type === undefined || types.includes(type) || (type === 'number' && types.includes('integer'))
    return isSpokenOf ? [] : [{ path: at, message: `says something of one type only: add "type": "${type}"` }]
  })
}

interface Inside {
  schema: unknown
  path: string
  /** Whether it is about the same value as the schema around it, and not about one inside that. */
  sameValue: boolean
}

function insideOf(schema: JsonSchema, path: string): Inside[] {
  const { properties, additionalProperties, items, not } = schema
  const found: Inside[] = []
  const add = (schema: unknown, at: string, sameValue: boolean) =>
    void found.push({ schema, path: `${path}/${at}`, sameValue })
  if (isObject(properties))
    for (const [name, inside] of Object.entries(properties)) add(inside, `properties/${pointerSegment(name)}`, false)
  if (additionalProperties !== undefined && typeof additionalProperties !== 'boolean')
    add(additionalProperties, 'additionalProperties', false)
  if (items !== undefined) add(items, 'items', false)
  if (not !== undefined) add(not, 'not', true)
  for (const keyword of COMBINATIONS) {
    const branches = schema[keyword]
    if (Array.isArray(branches))
      for (const [index, inside] of branches.entries()) add(inside, `${keyword}/${index}`, true)
  }
  return found
}
