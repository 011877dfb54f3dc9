import type { FieldError } from '../../errors.ts'
import { type Condition, readFilters, type Test } from './conditions.ts'
import { refuseFaults } from './errors.ts'
import type { Field } from './fields.ts'
import type { FilterSchema } from './filter-schema.ts'

/**
 * An event as the API shows it: `messageId`, `event`, `userId` …, times as RFC 3339, `geo`, `device` and
 * `source` as objects or null, `properties`, `traits` and `context` as objects.
 */
type EventObject = Record<string, unknown>

/**
 * The filters as a function of one event in memory, with the same meaning as in a query. Throws a 400 whose pointers begin with
 * `path` when a filter is not valid.
 */
export function createFilterPredicate(
  filters: readonly FilterSchema[],
  path = '/filters',
): (event: EventObject) => boolean {
  const faults: FieldError[] = []
  const conditions = readFilters(filters, path, faults)
  refuseFaults(faults)
  return (event) => conditions.every((condition) => holds(condition, event))
}

function holds({ field, negated, test }: Condition, event: EventObject): boolean {
  const value = readField(field, event)
  return (value !== undefined && passes(test, value)) !== negated
}

/** undefined stands for null, for the empty text of a column and for absence alike. */
function readField(field: Field, event: EventObject): unknown {
  switch (field.kind) {
    case 'text':
      return (
        (field.name === 'distinctId' ? event.userId || event.anonymousId : memberOf(event, field.name)) || undefined
      )
    case 'flag':
      return event[field.name] === true
    case 'time':
      return Date.parse(String(event[field.name]))
    case 'json': {
      let value: unknown = event[field.column]
      for (const segment of field.path) {
        if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, segment))
          return undefined
        value = (value as Record<string, unknown>)[segment]
      }
      return value ?? undefined
    }
  }
}

/** The member under a name of one or two parts, as `userId` or `geo.country`. */
function memberOf(event: EventObject, name: string): unknown {
  const dot = name.indexOf('.')
  if (dot < 0) return event[name]
  const part = event[name.slice(0, dot)]
  return typeof part === 'object' && part !== null ? (part as EventObject)[name.slice(dot + 1)] : undefined
}

function passes(test: Test, value: unknown): boolean {
  switch (test.kind) {
    case 'isSet':
      return true
    case 'isOneOf':
      return test.values.some((wanted) => wanted === value)
    case 'contains':
      if (Array.isArray(value)) return value.includes(test.text)
      return typeof value === 'string' && value.includes(test.text)
    case 'startsWith':
    case 'endsWith':
      return typeof value === 'string' && value[test.kind](test.text)
    default:
      return isInOrder(test.kind, compare(value, test.limit))
  }
}

/** Negative, zero or positive; NaN where the two have no order. Strings order by their UTF-8 bytes, as in ClickHouse. */
function compare(value: unknown, limit: string | number): number {
  if (typeof value === 'number' && typeof limit === 'number') return value - limit
  if (typeof value === 'string' && typeof limit === 'string')
    return Buffer.compare(Buffer.from(value), Buffer.from(limit))
  return Number.NaN
}

function isInOrder(kind: 'gt' | 'gte' | 'lt' | 'lte', order: number): boolean {
  switch (kind) {
    case 'gt':
      return order > 0
    case 'gte':
      return order >= 0
    case 'lt':
      return order < 0
    case 'lte':
      return order <= 0
  }
}
