import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import { PARTS, pointerSegment } from './dialect.ts'
import { FORMATS, hasFormat } from './formats.ts'
import { type JsonSchema, mapSchema } from './keywords.ts'
import { compilePattern, type Steps } from './pattern.ts'

/** One way in which an event breaks its schema. */
export interface Violation {
  /** JSON pointer inside the event. */
  path: string
  /** The path with `*` for positions in an array and for names that the schema does not know: what violations are counted by. */
  field: string
  keyword: string
  message: string
}

export interface CheckedEvent {
  event: string
  type?: string | undefined
  properties?: Record<string, unknown> | undefined
  traits?: Record<string, unknown> | undefined
  context?: Record<string, unknown> | undefined
}

export type EventCheck = (event: CheckedEvent) => Violation[] | null

const VIOLATIONS_MAX = 20
/** An event with more values than this is told its first violation only: listing all could take as long as it has values. */
const LISTED_VALUES_MAX = 1000
/** What all patterns of one event may cost together; some 15 ms at the very worst. */
const STEPS_MAX = 300_000
const COMPARED_VALUES_MAX = 16
const LOOK_UP = 'lookUp'
const NOTHING = Object.freeze({})

const steps: Steps = { left: 0 }

/**
 * Compiles the schema of an event, when it is first needed. A check takes time in proportion to the event, whatever the schema and
 * the event are: schemas have bounded branches (dialect.ts), patterns run in linear time, and lists of violations end.
 */
export function createEventCheck(schema: JsonSchema): EventCheck {
  let first: ValidateFunction | undefined
  let all: ValidateFunction | undefined
  return (event) => {
    const { properties = NOTHING, traits = NOTHING, context = NOTHING } = event
    const instance = { properties, traits, context }
    steps.left = STEPS_MAX
    first ??= compile(schema, false)
    const passes = first(instance)
    if (steps.left < 0) return [TOO_LONG]
    if (passes) return null
    const found = toViolations(first.errors)
    if (!hasAtMost(LISTED_VALUES_MAX, instance)) return found
    all ??= compile(schema, true)
    steps.left = STEPS_MAX
    all(instance)
    return steps.left < 0 ? found : toViolations(all.errors)
  }
}

const TOO_LONG: Violation = {
  path: '',
  field: '',
  keyword: 'pattern',
  message: 'holds texts that are too long for the patterns of its schema',
}

function compile({ $schema, ...schema }: JsonSchema, allErrors: boolean): ValidateFunction {
  const ajv = new Ajv({
    allErrors,
    strict: true,
    strictTypes: false,
    strictRequired: false,
    // The dialect has been checked, and knows nothing that would need the meta-schema.
    meta: false,
    validateSchema: false,
    addUsedSchema: false,
    ownProperties: true,
    multipleOfPrecision: 9,
    code: { optimize: false, regExp: Object.assign(linearExpression, { code: 'linearExpression' }) },
  })
  for (const name of Object.keys(FORMATS)) ajv.addFormat(name, { validate: (text: string) => hasFormat(name, text) })
  ajv.addKeyword({
    keyword: LOOK_UP,
    compile: (values: unknown[]) => {
      const allowed = new Set(values)
      return (value: unknown) => allowed.has(value)
    },
    error: { message: 'must be equal to one of the allowed values' },
  })
  return ajv.compile(mapSchema(schema, withLookUp))
}

/** A long list of values becomes one look-up, where ajv would compare with value after value. */
function withLookUp({ enum: values, ...schema }: JsonSchema): JsonSchema {
  if (!Array.isArray(values)) return schema
  return { ...schema, [values.length > COMPARED_VALUES_MAX ? LOOK_UP : 'enum']: values }
}

/** Stands in for RegExp, which a text could hang. */
function linearExpression(source: string) {
  const pattern = compilePattern(source)
  return { test: (text: string) => pattern.test(text, steps), toString: () => source }
}

function hasAtMost(most: number, instance: Record<(typeof PARTS)[number], object>): boolean {
  let left = most
  const walk = (value: unknown): boolean => {
    if (--left < 0) return false
    if (typeof value !== 'object' || value === null) return true
    for (const name in value) if (!walk((value as Record<string, unknown>)[name])) return false
    return true
  }
  return PARTS.every((part) => walk(instance[part]))
}

function toViolations(errors: ErrorObject[] | null | undefined): Violation[] {
  return (errors ?? []).slice(0, VIOLATIONS_MAX).map(toViolation)
}

/** The pointer names the field itself, also where ajv blames its parent (a missing or an extra property). */
function toViolation({ instancePath, schemaPath, keyword, params, message = 'is not valid' }: ErrorObject): Violation {
  const field = fieldOf(schemaPath)
  if (keyword === 'required') {
    const name = `/${pointerSegment(String(params.missingProperty))}`
    return { path: instancePath + name, field: field + name, keyword, message: 'is required' }
  }
  if (keyword === 'additionalProperties') {
    const name = `/${pointerSegment(String(params.additionalProperty))}`
    return { path: instancePath + name, field: `${field}/*`, keyword, message: 'is not a field that the schema has' }
  }
  return { path: instancePath, field, keyword: keyword === LOOK_UP ? 'enum' : keyword, message }
}

/** The place in an event that a place in the schema speaks of: `#/properties/properties/properties/items/items/type` → `/properties/items/*`. */
function fieldOf(schemaPath: string): string {
  const segments = schemaPath.split('/').slice(1)
  let field = ''
  for (let at = 0; at < segments.length - 1; at++) {
    const keyword = segments[at]
    if (keyword === 'properties') field += `/${decodeURIComponent(segments[++at] ?? '')}`
    else if (keyword === 'items' || keyword === 'additionalProperties') field += '/*'
    else if (keyword !== 'not') at++
  }
  return field
}
