import { FORMATS } from './formats.ts'
import { compilePattern, PatternError } from './pattern.ts'

export type JsonSchema = Record<string, unknown>

export const isObject = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What is wrong with the value of a keyword, or undefined. */
type Rule = (value: unknown) => string | undefined

export const TYPES = ['string', 'number', 'integer', 'boolean', 'object', 'array', 'null']
export const COMBINATIONS = ['anyOf', 'oneOf', 'allOf'] as const
const ENUM_VALUES_MAX = 500
const PATTERN_LENGTH_MAX = 500

const must =
  (holds: (value: unknown) => boolean, what: string): Rule =>
  (value) =>
    holds(value) ? undefined : `must be ${what}`

const isScalar = (value: unknown) => value === null || ['string', 'number', 'boolean'].includes(typeof value)
const areDifferent = (list: unknown): list is unknown[] => Array.isArray(list) && new Set(list).size === list.length
const isType = (name: unknown) => TYPES.includes(name as string)

const text = must((value) => typeof value === 'string', 'a text')
const number = must((value) => typeof value === 'number', 'a number')
const count = must((value) => Number.isSafeInteger(value) && Number(value) >= 0, 'a whole number from 0 up')
const anything: Rule = () => undefined

/** The keywords that speak of values of one type only. */
const OF_TYPE: Record<string, Record<string, Rule>> = {
  string: {
    minLength: count,
    maxLength: count,
    pattern,
    format: must(
      (value) => typeof value === 'string' && Object.hasOwn(FORMATS, value),
      `one of ${Object.keys(FORMATS).join(', ')}`,
    ),
  },
  number: {
    minimum: number,
    maximum: number,
    exclusiveMinimum: number,
    exclusiveMaximum: number,
    multipleOf: must((value) => typeof value === 'number' && value > 0, 'a number above 0'),
  },
  array: { items: anything, minItems: count, maxItems: count },
  object: {
    properties: names,
    required: must(
      (value) => areDifferent(value) && value.every((name) => typeof name === 'string'),
      'a list of different names',
    ),
    additionalProperties: anything,
    minProperties: count,
    maxProperties: count,
  },
}

const combination = must((value) => Array.isArray(value) && value.length > 0, 'a list of schemas')

/** The keywords that plans take, with what each of them takes. */
export const RULES: Record<string, Rule> = {
  type: must(
    (value) => isType(value) || (areDifferent(value) && value.length > 0 && value.every(isType)),
    `one of ${TYPES.join(', ')}, or a list of different ones`,
  ),
  enum: must(
    (value) => Array.isArray(value) && value.length > 0 && value.length <= ENUM_VALUES_MAX && value.every(isScalar),
    `a list of 1 to ${ENUM_VALUES_MAX} texts, numbers, booleans or null`,
  ),
  const: must(isScalar, 'a text, a number, true, false or null'),
  anyOf: combination,
  oneOf: combination,
  allOf: combination,
  not: anything,
  title: text,
  description: text,
  deprecated: must((value) => typeof value === 'boolean', 'true or false'),
  ...Object.assign({}, ...Object.values(OF_TYPE)),
}

/** The type that a schema must name before the keyword makes sense in it. */
export const SPEAKS_OF = new Map(
  Object.entries(OF_TYPE).flatMap(([type, rules]) => Object.keys(rules).map((keyword) => [keyword, type] as const)),
)

function pattern(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > PATTERN_LENGTH_MAX)
    return `must be a text of at most ${PATTERN_LENGTH_MAX} characters`
  try {
    compilePattern(value)
    return undefined
  } catch (error) {
    if (error instanceof PatternError) return error.message
    throw error
  }
}

function names(value: unknown): string | undefined {
  if (!isObject(value)) return 'must be an object of schemas'
  const unusable = Object.keys(value).some((name) => name === '__proto__' || !name.isWellFormed())
  return unusable ? 'has a name that no event may use' : undefined
}

/** The same schema with every schema inside it, and then itself, changed. */
export function mapSchema(schema: JsonSchema, change: (schema: JsonSchema) => JsonSchema): JsonSchema {
  const inside = (value: unknown) => (isObject(value) ? mapSchema(value, change) : value)
  const entries = Object.entries(schema).map(([keyword, value]): [string, unknown] => {
    if (keyword === 'properties' && isObject(value))
      return [keyword, Object.fromEntries(Object.entries(value).map(([name, one]) => [name, inside(one)]))]
    if (COMBINATIONS.includes(keyword as 'anyOf') && Array.isArray(value)) return [keyword, value.map(inside)]
    return [keyword, ['items', 'additionalProperties', 'not'].includes(keyword) ? inside(value) : value]
  })
  return change(Object.fromEntries(entries))
}
