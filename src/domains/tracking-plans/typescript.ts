import { setImmediate } from 'node:timers/promises'
import { isObject, type JsonSchema, mapSchema } from './keywords.ts'
import type { StoredPlan } from './plan.ts'

const COMMON = `/** The name of an event of the plan. */
export type EventName = keyof TrackingPlan

/** The properties of an event of the plan. */
export type PropertiesOf<Name extends EventName> = NonNullable<TrackingPlan[Name]['properties']>

/** A function that sends events, such as \`analytics.track\`, checked against the plan. */
export type Track = <Name extends EventName>(
  event: Name,
  ...properties: undefined extends TrackingPlan[Name]['properties'] ? [PropertiesOf<Name>?] : [PropertiesOf<Name>]
) => void

/** An event of the plan in the form that POST /v1/events takes. */
export type PlannedEvent = {
  [Name in EventName]: TrackingPlan[Name] & {
    event: Name
    messageId?: string
    type?: 'track' | 'identify' | 'page' | 'screen' | 'group' | 'alias'
    userId?: string
    anonymousId?: string
    groupId?: string
    timestamp?: string | number
  }
}[EventName]
`

/** Names that the generated file uses itself, and those that no interface may have. */
const TAKEN = ['TrackingPlan', 'EventName', 'PropertiesOf', 'Track', 'PlannedEvent', 'NonNullable', 'Object', 'String']

/** TypeScript declarations of a plan: one interface per event, and a map of them by name. */
export async function toTypeScript(projectId: string, { version, schemas }: StoredPlan): Promise<string> {
  const taken = new Set(TAKEN)
  const interfaces: string[] = []
  const members: string[] = []
  for (const { event, schema } of [...schemas].sort((a, b) => (a.event < b.event ? -1 : 1))) {
    const name = interfaceName(event, taken)
    interfaces.push(`/** ${JSON.stringify(event).replaceAll('*/', '* /')} */\n${await interfaceOf(name, schema)}`)
    members.push(`  ${JSON.stringify(event)}: ${name}`)
    // A large plan takes seconds in all; events go on being received between any two interfaces.
    await setImmediate()
  }
  const banner = `// The tracking plan of ${projectId}, version ${version}. Generated: run the generator again instead of editing it.`
  const plan = `/** The events of the plan by name. */\nexport interface TrackingPlan {\n${members.join('\n')}\n}`
  return `${[banner, ...interfaces, plan, COMMON].join('\n\n')}`
}

function interfaceName(event: string, taken: Set<string>): string {
  const words = event.normalize('NFKD').match(/[A-Za-z0-9]+/g) ?? []
  const joined = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
  const base = /^[A-Za-z]/.test(joined) ? joined : `Event${joined}`
  let name = base
  for (let number = 2; taken.has(name); number++) name = `${base}${number}`
  taken.add(name)
  return name
}

async function interfaceOf(name: string, { properties: parts }: JsonSchema): Promise<string> {
  // It brings a formatter of code with it, which a process that never generates need not hold in memory.
  const { compile } = await import('json-schema-to-typescript')
  const described = Object.entries({ properties: { type: 'object' }, ...(isObject(parts) ? parts : {}) })
  const root = {
    type: 'object',
    properties: Object.fromEntries(
      described.map(([part, schema]) => [part, mapSchema(schema as JsonSchema, simplified)]),
    ),
    required: described.filter(([, schema]) => isNeeded(schema as JsonSchema)).map(([part]) => part),
    additionalProperties: false,
  }
  const text = await compile(root as object, 'Event', {
    bannerComment: '',
    format: false,
    ignoreMinAndMaxItems: true,
    $refOptions: { resolve: { external: false } },
  })
  return indented(text.trim().replace(/^export interface \w+/, `export interface ${name}`))
}

/** Whether an event without it breaks the schema: what is not sent counts as empty. */
const isNeeded = ({ required, minProperties = 0 }: JsonSchema) =>
  (Array.isArray(required) && required.length > 0) || Number(minProperties) > 0

/** What can be said in types. `tsType` is the generator's own keyword, which the plan's dialect does not have. */
function simplified(schema: JsonSchema): JsonSchema {
  const {
    type,
    enum: values,
    const: value,
    anyOf,
    oneOf,
    allOf,
    properties,
    required,
    additionalProperties,
    items,
  } = schema
  const union = [anyOf, oneOf].find(Array.isArray)?.filter((branch) => !isUnknown(branch)) ?? []
  const isWhole = union.length === [anyOf, oneOf].find(Array.isArray)?.length
  const result: JsonSchema = {
    ...present({ type, enum: values, const: value, properties, required, additionalProperties, items }),
    ...(isWhole ? { anyOf: union } : {}),
    ...(Array.isArray(allOf) && allOf.some((branch) => !isUnknown(branch))
      ? { allOf: allOf.filter((branch) => !isUnknown(branch)) }
      : {}),
  }
  const isEmpty = !isObject(properties) || Object.keys(properties).length === 0
  if (type === 'object' && additionalProperties === false && isEmpty) result.tsType = 'Record<string, never>'
  const says = ['type', 'enum', 'const', 'anyOf', 'allOf'].some((keyword) => keyword in result)
  return {
    ...(says ? result : { tsType: 'unknown' }),
    ...present({ description: schema.description, deprecated: schema.deprecated }),
  }
}

const isUnknown = (branch: JsonSchema) => branch.tsType === 'unknown'
const present = (fields: JsonSchema) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

function indented(text: string): string {
  let depth = 0
  const lines = text.split('\n').map((line) => {
    if (/^[})\]]/.test(line)) depth--
    const indentation = '  '.repeat(Math.max(0, depth)) + (line.startsWith('*') ? ' ' : '')
    if (/[{([]$/.test(line) && !line.startsWith('*')) depth++
    return indentation + line
  })
  return lines.join('\n')
}
