import type { Condition, Scalar, Test } from './conditions.ts'
import type { Field, JsonField } from './fields.ts'
import type { Parameters } from './parameters.ts'

type Bind = Parameters['bind']

/** The conditions as SQL expressions that are 0 or 1 and never NULL, with every value and every name bound. */
export function compileConditions(conditions: readonly Condition[], bind: Bind): string[] {
  return conditions.map(({ field, negated, test }) => {
    const passes = compileTest(field, test, bind)
    return negated ? `NOT (${passes})` : passes
  })
}

/** The value of a field by which rows are grouped, as text: '' where there is none; JSON and flags are written as in JSON. */
export function groupText(field: Exclude<Field, { kind: 'time' }>, bind: Bind): string {
  if (field.kind === 'json') return rawJson(field, bind)
  return field.kind === 'flag' ? `if(${field.column}, 'true', 'false')` : field.column
}

/** JSON text of the value at the field's path in ClickHouse's canonical writing; '' where there is none. One parse per row. */
export function rawJson(field: JsonField, bind: Bind): string {
  return `JSONExtractRaw(${field.column}, ${field.path.map((segment) => bind(segment, 'String')).join(', ')})`
}

/** The number at the path, NULL for anything else. A string of digits is not a number. */
export function jsonNumber(field: JsonField, bind: Bind): string {
  return `toFloat64OrNull(${rawJson(field, bind)})`
}

/**
 * Holds wherever the path exists, and for most other rows it does not, at a fraction of the price of a parse: the text must contain
 * the quoted name, or an escape that could spell it. Written before a test with AND, it spares the rows that lack the field.
 */
export function mayHave({ column, path }: JsonField, bind: Bind): string {
  const name = path.at(-1) ?? ''
  if (!PLAIN_NAME.test(name)) return '1'
  return `(position(${column}, ${bind(`"${name}"`, 'String')}) > 0 OR position(${column}, '\\\\u') > 0)`
}

/** Names that JSON can write in no other way than as they are or with unicode escapes. */
const PLAIN_NAME = /^[\w $.-]+$/

/**
 * A time column in a form that ClickHouse cannot use to leave out parts. It must not: a part that is left out because of its times
 * may hold the first copy of an event, and FINAL would then show the second. Only the day, which all copies share, may prune.
 */
export function opaqueTime(column: string): string {
  return `identity(toUnixTimestamp64Milli(${column}))`
}

const SYMBOLS = { gt: '>', gte: '>=', lt: '<', lte: '<=' } as const

function compileTest(field: Field, test: Test, bind: Bind): string {
  if (field.kind === 'text') return compileText(field.column, test, bind)
  if (field.kind === 'time') return compileTime(opaqueTime(field.column), test, bind)
  if (field.kind === 'flag') return compileFlag(field.column, test, bind)
  return `(${mayHave(field, bind)} AND ${compileJson(rawJson(field, bind), test, bind)})`
}

function compileText(column: string, test: Test, bind: Bind): string {
  switch (test.kind) {
    case 'isSet':
      return `${column} != ''`
    case 'isOneOf':
      return `${column} IN ${bind(test.values, 'Array(String)')}`
    case 'contains':
      return `position(${column}, ${bind(test.text, 'String')}) > 0`
    case 'startsWith':
    case 'endsWith':
      return `${test.kind}(${column}, ${bind(test.text, 'String')})`
    default:
      return `(${column} != '' AND ${column} ${SYMBOLS[test.kind]} ${bind(test.limit, 'String')})`
  }
}

function compileFlag(column: string, test: Test, bind: Bind): string {
  if (test.kind === 'isSet') return '1'
  if (test.kind === 'isOneOf') return `${column} IN ${bind(test.values.map(Number), 'Array(Int64)')}`
  throw new Error(`${test.kind} does not apply to a flag and should have been refused`)
}

function compileTime(time: string, test: Test, bind: Bind): string {
  switch (test.kind) {
    case 'isSet':
      return '1'
    case 'isOneOf':
      return `${time} IN ${bind(test.values, 'Array(Int64)')}`
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte':
      return `${time} ${SYMBOLS[test.kind]} ${bind(test.limit, 'Int64')}`
    default:
      throw new Error(`${test.kind} does not apply to a time and should have been refused`)
  }
}

function compileJson(raw: string, test: Test, bind: Bind): string {
  switch (test.kind) {
    case 'isSet':
      return `${raw} NOT IN ('', 'null')`
    case 'isOneOf':
      return compileJsonEquality(raw, test.values, bind)
    case 'contains': {
      const inText = `position(JSONExtractString(${raw}), ${bind(test.text, 'String')}) > 0`
      const inArray = `has(JSONExtractArrayRaw(${raw}), JSONExtractRaw(${bind(JSON.stringify(test.text), 'String')}))`
      return `multiIf(${isString(raw)}, ${inText}, startsWith(${raw}, '['), ${inArray}, 0)`
    }
    case 'startsWith':
    case 'endsWith':
      return `(${isString(raw)} AND ${test.kind}(JSONExtractString(${raw}), ${bind(test.text, 'String')}))`
    default: {
      const { limit } = test
      const symbol = SYMBOLS[test.kind]
      if (typeof limit === 'number') return `ifNull(toFloat64OrNull(${raw}) ${symbol} ${bind(limit, 'Float64')}, 0)`
      return `(${isString(raw)} AND JSONExtractString(${raw}) ${symbol} ${bind(limit, 'String')})`
    }
  }
}

const isString = (raw: string) => `startsWith(${raw}, '"')`

/** Strings are compared in the engine's own JSON writing, so that the row's text needs no second parse. */
function compileJsonEquality(raw: string, values: readonly Scalar[], bind: Bind): string {
  const numbers = values.filter((value) => typeof value === 'number')
  const texts = values.filter((value) => typeof value !== 'number').map((value) => JSON.stringify(value))
  const choices: string[] = []
  if (texts.length > 0)
    choices.push(`${raw} IN arrayMap(text -> JSONExtractRaw(text), ${bind(texts, 'Array(String)')})`)
  if (numbers.length > 0) choices.push(`ifNull(toFloat64OrNull(${raw}) IN ${bind(numbers, 'Array(Float64)')}, 0)`)
  return `(${choices.join(' OR ')})`
}
