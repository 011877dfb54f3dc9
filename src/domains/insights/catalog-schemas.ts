import { type Static, Type } from '@sinclair/typebox'
import { QueryMeta, TimeInput } from '../../http/schemas.ts'
import { EVENT_NAMES_ANSWER, PROPERTIES_ANSWER, VALUES_ANSWER } from './examples.ts'
import { FieldName } from './filter-schema.ts'
import { RECENT_DAYS } from './spans.ts'

const Range = {
  from: Type.Optional(
    Type.Union(TimeInput.anyOf, { description: `Start, inclusive; by default ${RECENT_DAYS} days ago.` }),
  ),
  to: Type.Optional(Type.Union(TimeInput.anyOf, { description: 'End, exclusive; by default none.' })),
}
const Event = Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'Only events of this name.' }))
const Search = Type.Optional(
  Type.String({ minLength: 1, maxLength: 200, description: 'Only what contains this text, in any case.' }),
)
const Count = Type.Integer({ description: 'Events that have it.' })

export const EventNamesQuery = Type.Object(
  {
    ...Range,
    search: Search,
    limit: Type.Integer({ minimum: 1, maximum: 1000, default: 200, description: 'Most names.' }),
  },
  { additionalProperties: false },
)
export type EventNamesQuery = Static<typeof EventNamesQuery>

export const EventNamesAnswer = Type.Object(
  {
    data: Type.Array(
      Type.Object({
        event: Type.String({ examples: ['Order Completed'] }),
        count: Count,
        firstSeen: Type.String({ format: 'date-time', description: 'Earliest timestamp within the range.' }),
        lastSeen: Type.String({ format: 'date-time', description: 'Latest timestamp within the range.' }),
      }),
      { description: 'Most frequent first.' },
    ),
    meta: QueryMeta,
  },
  { description: 'The names, most frequent first.', examples: [EVENT_NAMES_ANSWER] },
)
export type EventNamesAnswer = Static<typeof EventNamesAnswer>

export const PropertiesQuery = Type.Object({ ...Range, event: Event, search: Search }, { additionalProperties: false })
export type PropertiesQuery = Static<typeof PropertiesQuery>

const JSON_TYPES = ['string', 'number', 'boolean', 'array', 'object', 'null'] as const

export const PropertiesAnswer = Type.Object(
  {
    data: Type.Array(
      Type.Object({
        field: Type.String({
          description: 'The name to use in filters and breakdowns.',
          examples: ['properties.total'],
        }),
        count: Type.Integer({ description: 'Events of the sample where it is set.' }),
        types: Type.Array(Type.Object({ type: Type.String({ enum: [...JSON_TYPES] }), count: Type.Integer() }), {
          description: 'JSON types of its values, most frequent first.',
        }),
      }),
      { description: 'Most frequent first.' },
    ),
    sampled: Type.Integer({ description: 'Events that were looked at: the latest ones, up to 2,000.' }),
    meta: QueryMeta,
  },
  { description: 'The properties, most frequent first.', examples: [PROPERTIES_ANSWER] },
)
export type PropertiesAnswer = Static<typeof PropertiesAnswer>

export const ValuesQuery = Type.Object(
  {
    ...Range,
    field: FieldName,
    event: Event,
    search: Search,
    limit: Type.Integer({ minimum: 1, maximum: 100, default: 50, description: 'Most values.' }),
  },
  { additionalProperties: false },
)
export type ValuesQuery = Static<typeof ValuesQuery>

export const ValuesAnswer = Type.Object(
  {
    data: Type.Array(
      Type.Object({
        value: Type.Unsafe<string | number | boolean>({
          type: ['string', 'number', 'boolean'],
          description: 'Arrays and objects are given as their JSON text.',
          examples: ['EUR'],
        }),
        count: Count,
      }),
      { description: 'Most frequent first.' },
    ),
    meta: QueryMeta,
  },
  { description: 'The values, most frequent first.', examples: [VALUES_ANSWER] },
)
export type ValuesAnswer = Static<typeof ValuesAnswer>
