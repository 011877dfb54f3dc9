import type { FieldError } from '../../../errors.ts'
import { type Condition, type Field, parseField, parseProperty, readFilters } from '../../insights/index.ts'
import type { Aggregation, Meter, MeterDefinition } from './schemas.ts'

type Grouped = Exclude<Field, { kind: 'time' }>

/** A definition whose meaning has been checked. */
export interface Measure {
  aggregation: Aggregation
  /** What the aggregation is of; undefined for a count. Numbers are found in JSON alone. */
  property: Grouped | undefined
  events: readonly string[] | undefined
  conditions: readonly Condition[]
  groupBy: readonly Grouped[]
}

/** What every organization has: the count of all its events. */
export const EVENTS_METER: Meter = {
  key: 'events',
  version: 1,
  builtIn: true,
  name: 'Events',
  unit: 'event',
  aggregation: 'count',
  property: null,
  events: null,
  filters: [],
  groupBy: [],
  createdAt: null,
}

/** Reads a definition. Faults are added to `faults`, each with a pointer to its part; what is read of a faulty one is of no use. */
export function readMeasure(definition: MeterDefinition, faults: FieldError[]): Measure {
  const { aggregation, filters = [], groupBy = [], events } = definition
  events?.forEach((name, index) => {
    if (!name.isWellFormed()) faults.push({ path: `/events/${index}`, message: 'holds half of a surrogate pair' })
  })
  return {
    aggregation,
    property: readProperty(definition, faults),
    events,
    conditions: readFilters(filters, '/filters', faults),
    groupBy: groupBy.flatMap((name, index) => readGrouped(name, `/groupBy/${index}`, faults) ?? []),
  }
}

function readProperty({ aggregation, property }: MeterDefinition, faults: FieldError[]): Grouped | undefined {
  const at = '/property'
  if (aggregation === 'count') {
    if (property !== undefined) faults.push({ path: at, message: 'must be absent for count' })
    return undefined
  }
  if (property === undefined) {
    faults.push({ path: at, message: `must be there for ${aggregation}` })
    return undefined
  }
  // A name of a column, as userId, is the column itself; every other short name is a property.
  const column = parseField(property)
  const field = aggregation === 'unique' && typeof column !== 'string' ? column : parseProperty(property)
  return checked(field, at, faults)
}

function readGrouped(name: string, at: string, faults: FieldError[]): Grouped | undefined {
  return checked(parseField(name), at, faults)
}

function checked(field: Field | string, at: string, faults: FieldError[]): Grouped | undefined {
  if (typeof field !== 'string' && field.kind !== 'time') return field
  faults.push({ path: at, message: typeof field === 'string' ? field : 'is a time, which tells every event apart' })
  return undefined
}

/** The measure of a stored meter, which was checked before it was stored. */
export function measureOf({ aggregation, property, events, filters, groupBy, name }: Meter): Measure {
  const faults: FieldError[] = []
  const given = { name, aggregation, filters, groupBy, ...(property && { property }), ...(events && { events }) }
  const measure = readMeasure(given as MeterDefinition, faults)
  if (faults.length > 0) throw new Error(`a stored meter cannot be read: ${faults.map(({ path }) => path).join(', ')}`)
  return measure
}
