import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { LimitQuery, ProjectParams } from '../../http/schemas.ts'
import { MODES, UNPLANNED } from './plan.ts'

export const literals = <T extends string>(values: readonly T[], options = {}) =>
  Type.Unsafe<T>(
    Type.Union(
      values.map((value) => Type.Literal(value)),
      options,
    ),
  )
export const orNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
export const page = <T extends TSchema>(item: T) => ({ data: Type.Array(item), nextCursor: orNull(Type.String()) })

const ModeSchema = literals(MODES, {
  description:
    'What happens to an event that breaks its schema: observe counts it, warn says so in the answer too, quarantine sets it aside for repair, reject refuses it.',
})
const UnplannedSchema = literals(UNPLANNED, {
  description: 'The same for names without a schema; allow checks nothing.',
})
export const EventName = Type.String({ minLength: 1, maxLength: 200, examples: ['Order Completed'] })
export const Version = Type.Integer({ minimum: 0, maximum: 2_147_483_647 })
export const Time = Type.String({ format: 'date-time' })
const ChangedBy = Type.String({
  description: 'Id of the user or of the API key.',
  examples: ['usr_01jd7z3k9qf8v0m4c2t6n5w1xy'],
})

export const SCHEMA_EXAMPLE = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    properties: {
      type: 'object',
      properties: { total: { type: 'number', minimum: 0 }, currency: { type: 'string', enum: ['EUR', 'USD'] } },
      required: ['total', 'currency'],
    },
  },
}
export const NumberCursor = Type.String({
  pattern: '^[0-9]{1,9}$',
  description: 'The `nextCursor` of the page before.',
})
export const JsonSchemaDocument = Type.Record(Type.String(), Type.Unknown(), {
  description: `JSON Schema 2020-12 of the event's properties, traits and context, each of the type object; one that is not sent counts as empty.
Keywords: type, enum, const, anyOf, oneOf, allOf, not, title, description, deprecated; of texts minLength, maxLength, pattern, format (date-time,
date, time, email, hostname, ipv4, ipv6, uri, uuid); of numbers minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf; of arrays items,
minItems, maxItems; of objects properties, required, additionalProperties, minProperties, maxProperties. A pattern may use what a machine can decide by reading
once: no back references, no looking around, no \\b and no \\p. At most 32,768 bytes, 300 schemas, 16 inside each other, 32 branches of
combinations and 50 patterns.`,
  examples: [SCHEMA_EXAMPLE],
})

export const EventParams = Type.Composite([ProjectParams, Type.Object({ eventName: EventName })])
export const VersionParams = Type.Composite([
  ProjectParams,
  Type.Object({
    version: Type.Integer({ minimum: 1, maximum: 2_147_483_647, description: 'Version of the plan.', examples: [7] }),
  }),
])

/** Who writes on the ground of a version that is not the newest any more is told so and changes nothing. */
export const IfMatch = Type.Object({
  'if-match': Type.Optional(
    Type.String({
      pattern: '^"?[0-9]{1,9}"?$',
      description: 'The version that the change is made to, as in ETag; 409 when the plan has another one by now.',
      examples: ['"7"'],
    }),
  ),
})
const Reason = {
  comment: Type.Optional(
    Type.String({ minLength: 1, maxLength: 500, description: 'Why, for whoever reads the history.' }),
  ),
  expectedVersion: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 2_147_483_647,
      description: 'The same as If-Match, for clients that cannot set it.',
    }),
  ),
}
export const ReasonQuery = Type.Object(Reason, { additionalProperties: false })
export type Reason = Static<typeof ReasonQuery>

export const SettingsInput = Type.Object(
  { mode: Type.Optional(ModeSchema), unplannedEvents: Type.Optional(UnplannedSchema), ...Reason },
  { additionalProperties: false, minProperties: 1, examples: [{ mode: 'warn', comment: 'the apps are clean now' }] },
)
export type SettingsInput = Static<typeof SettingsInput>
export const SchemaInput = Type.Object({ schema: JsonSchemaDocument, ...Reason }, { additionalProperties: false })
export type SchemaInput = Static<typeof SchemaInput>
export const RestoreInput = Type.Object(Reason, {
  additionalProperties: false,
  examples: [{ comment: 'version 8 was a mistake' }],
})

const VERSION_EXAMPLE = {
  version: 7,
  change: 'schema',
  event: 'Order Completed',
  restoredVersion: null,
  mode: 'observe',
  unplannedEvents: 'allow',
  comment: 'currency is required now',
  changedBy: 'usr_01jd7z3k9qf8v0m4c2t6n5w1xy',
  changedAt: '2026-01-31T12:00:00.000Z',
} as const
const VersionFields = {
  version: Version,
  change: literals(['settings', 'schema', 'removal', 'restore']),
  event: orNull(Type.String({ description: 'Of a schema or a removal: whose.' })),
  restoredVersion: orNull(Version),
  mode: ModeSchema,
  unplannedEvents: UnplannedSchema,
  comment: orNull(Type.String()),
  changedBy: ChangedBy,
  changedAt: Time,
}
const PlanVersion = Type.Object(VersionFields)
export type PlanVersion = Static<typeof PlanVersion>
export const VersionPage = Type.Object(page(PlanVersion), {
  description: 'Versions, newest first.',
  examples: [{ data: [VERSION_EXAMPLE], nextCursor: null }],
})
export const VersionQuery = Type.Object(
  { limit: LimitQuery, cursor: Type.Optional(NumberCursor) },
  { additionalProperties: false },
)
export type VersionQuery = Static<typeof VersionQuery>
const EventVersion = Type.Object({ event: EventName, version: Version, schema: JsonSchemaDocument })
export const WholeVersion = Type.Object(
  { ...VersionFields, events: Type.Array(EventVersion) },
  {
    description: 'The plan as it was.',
    examples: [{ ...VERSION_EXAMPLE, events: [{ event: 'Order Completed', version: 7, schema: SCHEMA_EXAMPLE }] }],
  },
)
export type WholeVersion = Static<typeof WholeVersion>

const EVENT_EXAMPLE = {
  event: 'Order Completed',
  version: 7,
  changedBy: VERSION_EXAMPLE.changedBy,
  changedAt: VERSION_EXAMPLE.changedAt,
}
const ChangedEvent = { event: EventName, version: Version, changedBy: ChangedBy, changedAt: Time }
export const PlanAnswer = Type.Object(
  {
    version: Type.Integer({ description: 'Rises with every change; 0 before the first.' }),
    mode: ModeSchema,
    unplannedEvents: UnplannedSchema,
    changedBy: orNull(ChangedBy),
    changedAt: orNull(Time),
    events: Type.Array(Type.Object(ChangedEvent), {
      description: 'Every event of the plan by name; its schema has a route of its own.',
    }),
  },
  {
    description: 'The tracking plan.',
    examples: [
      { ...EVENT_EXAMPLE, event: undefined, mode: 'observe', unplannedEvents: 'allow', events: [EVENT_EXAMPLE] },
    ],
  },
)
export type PlanAnswer = Static<typeof PlanAnswer>
export const EventAnswer = Type.Object(
  { ...ChangedEvent, schema: JsonSchemaDocument, planVersion: Version },
  { description: 'The schema of an event.', examples: [{ ...EVENT_EXAMPLE, schema: SCHEMA_EXAMPLE, planVersion: 9 }] },
)
export type EventAnswer = Static<typeof EventAnswer>
