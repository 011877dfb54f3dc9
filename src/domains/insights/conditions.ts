import { Value } from '@sinclair/typebox/value'
import type { FieldError } from '../../errors.ts'
import { TimeInput, timeToMs } from '../../http/schemas.ts'
import { type Field, parseField } from './fields.ts'
import { type FilterSchema, OPERATORS, type Operator } from './filter-schema.ts'

export type Scalar = string | number | boolean

/** What a filter asks of the field's value. A missing value passes no test, so a negated one matches events without the field. */
export type Test =
  | { kind: 'isSet' }
  | { kind: 'isOneOf'; values: Scalar[] }
  | { kind: 'contains' | 'startsWith' | 'endsWith'; text: string }
  | { kind: 'gt' | 'gte' | 'lt' | 'lte'; limit: string | number }

/** A filter whose meaning has been checked. Times in it are epoch milliseconds. */
export interface Condition {
  field: Field
  negated: boolean
  test: Test
}

const IN_VALUES_MAX = 500
const TEXT_LENGTH_MAX = 1000

/** The one reading of filters, for ClickHouse and for memory. Faults are added to `faults`, each with a pointer under `path`. */
export function readFilters(filters: readonly FilterSchema[], path: string, faults: FieldError[]): Condition[] {
  return filters.flatMap((filter, index) => {
    const at = `${path}/${index}`
    const field = parseField(filter.field)
    if (typeof field === 'string') return complain(faults, `${at}/field`, field)
    if (!isOperator(filter.operator))
      return complain(faults, `${at}/operator`, `must be one of ${OPERATORS.join(', ')}`)
    const read = readTest(field, filter.operator, filter.value)
    if (typeof read === 'string') return complain(faults, `${at}/value`, read)
    if ('operator' in read) return complain(faults, `${at}/operator`, read.operator)
    return [{ field, ...read }]
  })
}

function complain(faults: FieldError[], path: string, message: string): [] {
  faults.push({ path, message })
  return []
}

const isOperator = (name: string): name is Operator => OPERATORS.some((operator) => operator === name)

type Reading = Omit<Condition, 'field'> | { operator: string } | string

/** A string is a fault of the value, `operator` one of the operator. */
function readTest(field: Field, operator: Operator, value: unknown): Reading {
  switch (operator) {
    case 'isSet':
    case 'isNotSet':
      if (value !== undefined) return `must be absent for ${operator}`
      return { negated: operator === 'isNotSet', test: { kind: 'isSet' } }
    case 'eq':
    case 'neq':
      return readEquality(field, operator === 'neq', [value])
    case 'in':
    case 'notIn':
      if (!Array.isArray(value)) return 'must be an array'
      if (value.length === 0 || value.length > IN_VALUES_MAX) return `must hold 1 to ${IN_VALUES_MAX} values`
      return readEquality(field, operator === 'notIn', value)
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte':
      return readOrder(field, operator, value)
    default:
      return readText(field, operator, value)
  }
}

function readEquality(field: Field, negated: boolean, given: unknown[]): Reading {
  const values: Scalar[] = []
  for (const value of given) {
    const scalar = readScalar(field, value)
    if ('fault' in scalar) return scalar.fault
    values.push(scalar.value)
  }
  return { negated, test: { kind: 'isOneOf', values } }
}

function readOrder(field: Field, kind: 'gt' | 'gte' | 'lt' | 'lte', value: unknown): Reading {
  if (field.kind === 'flag') return { operator: 'compares order, and this field is true or false' }
  if (typeof value === 'boolean') return 'must be a number or a string; booleans have no order'
  const scalar = readScalar(field, value)
  if ('fault' in scalar) return scalar.fault
  return typeof scalar.value === 'boolean' ? 'has no order' : { negated: false, test: { kind, limit: scalar.value } }
}

function readText(
  field: Field,
  operator: 'contains' | 'notContains' | 'startsWith' | 'endsWith',
  value: unknown,
): Reading {
  if (field.kind === 'time') return { operator: 'compares text, and this field is a time' }
  if (field.kind === 'flag') return { operator: 'compares text, and this field is true or false' }
  if (typeof value !== 'string' || value === '') return 'must be a string that is not empty'
  const fault = faultOfText(value)
  if (fault) return fault
  return {
    negated: operator === 'notContains',
    test: { kind: operator === 'notContains' ? 'contains' : operator, text: value },
  }
}

function readScalar(field: Field, value: unknown): { value: Scalar } | { fault: string } {
  if (field.kind === 'time') {
    const ms = Value.Check(TimeInput, value) ? timeToMs(value) : Number.NaN
    return Number.isNaN(ms) ? { fault: 'must be a time: RFC 3339 or epoch milliseconds' } : { value: ms }
  }
  if (field.kind === 'flag') return typeof value === 'boolean' ? { value } : { fault: 'must be true or false' }
  if (field.kind === 'text' && (typeof value !== 'string' || value === '')) {
    return { fault: 'must be a string that is not empty; use isNotSet for events without the field' }
  }
  if (typeof value === 'string') {
    const fault = faultOfText(value)
    return fault ? { fault } : { value }
  }
  if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) return { value }
  return { fault: 'must be a string, a number or a boolean' }
}

function faultOfText(text: string): string | undefined {
  if (text.length > TEXT_LENGTH_MAX) return `may have ${TEXT_LENGTH_MAX} characters`
  return text.isWellFormed() ? undefined : 'holds half of a surrogate pair'
}
