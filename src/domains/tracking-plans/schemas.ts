import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { LimitQuery, ProjectParams, TimeInput } from '../../http/schemas.ts'
import { MODES, UNPLANNED } from './plan.ts'

const literals = <T extends string>(values: readonly T[], options = {}) =>
  Type.Unsafe<T>(
    Type.Union(
      values.map((value) => Type.Literal(value)),
      options,
    ),
  )
const orNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const page = <T extends TSchema>(item: T) => ({ data: Type.Array(item), nextCursor: orNull(Type.String()) })

const ModeSchema = literals(MODES, {
  description:
    'What happens to an event that breaks its schema: observe counts it, warn says so in the answer too, quarantine sets it aside for repair, reject refuses it.',
})
const UnplannedSchema = literals(UNPLANNED, {
  description: 'The same for names without a schema; allow checks nothing.',
})
const EventName = Type.String({ minLength: 1, maxLength: 200, examples: ['Order Completed'] })
const Version = Type.Integer({ minimum: 0, maximum: 2_147_483_647 })
const Time = Type.String({ format: 'date-time' })
const ChangedBy = Type.String({
  description: 'Id of the user or of the API key.',
  examples: ['usr_01jd7z3k9qf8v0m4c2t6n5w1xy'],
})

const SCHEMA_EXAMPLE = {
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
const NumberCursor = Type.String({ pattern: '^[0-9]{1,9}$', description: 'The `nextCursor` of the page before.' })
const JsonSchemaDocument = Type.Record(Type.String(), Type.Unknown(), {
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

export const InferQuery = Type.Object(
  {
    event: Type.Optional(
      Type.String({ minLength: 1, maxLength: 200, description: 'One event; without it the most frequent names.' }),
    ),
    from: Type.Optional(TimeInput),
    to: Type.Optional(TimeInput),
    sampleSize: Type.Integer({
      minimum: 1,
      maximum: 2000,
      default: 500,
      description: 'Newest events of each name to look at; at most 4 MiB of each name are read.',
    }),
    limit: Type.Integer({ minimum: 1, maximum: 100, default: 20, description: 'Most event names.' }),
  },
  { additionalProperties: false },
)
export type InferQuery = Static<typeof InferQuery>
const Field = Type.Object({
  path: Type.String({
    description: 'JSON pointer inside the event; `*` for positions and for names that look like data.',
  }),
  presence: Type.Number({ description: 'In which part of the objects around it the field is, from 0 to 1.' }),
  types: Type.Record(Type.String(), Type.Integer(), { description: 'How many of the values are of which type.' }),
  format: Type.Optional(Type.String()),
  values: Type.Optional(
    Type.Array(Type.String(), {
      description: 'All values, where they are few and each was sent by at least five people.',
    }),
  ),
})
export const InferAnswer = Type.Object(
  {
    data: Type.Array(
      Type.Object({
        event: EventName,
        sampled: Type.Integer({ description: 'Events looked at.' }),
        schema: JsonSchemaDocument,
        fields: Type.Array(Field),
      }),
    ),
    complete: Type.Boolean({ description: 'Whether every event name of the time is in the answer.' }),
  },
  {
    description: 'Proposals. Nothing was published.',
    examples: [
      {
        data: [
          {
            event: 'Order Completed',
            sampled: 500,
            schema: SCHEMA_EXAMPLE,
            fields: [{ path: '/properties/total', presence: 1, types: { number: 498, integer: 2 } }],
          },
        ],
        complete: true,
      },
    ],
  },
)
export type InferAnswer = Static<typeof InferAnswer>

const Bag = Type.Optional(Type.Record(Type.String(), Type.Unknown()))
export const CheckInput = Type.Object(
  {
    events: Type.Array(
      Type.Object(
        { event: EventName, type: Type.Optional(Type.String()), properties: Bag, traits: Bag, context: Bag },
        { additionalProperties: true },
      ),
      { minItems: 1, maxItems: 100, description: 'Events as POST /v1/events takes them.' },
    ),
  },
  {
    additionalProperties: false,
    examples: [{ events: [{ event: 'Order Completed', properties: { total: '49.90' } }] }],
  },
)
export type CheckInput = Static<typeof CheckInput>
const ViolationSchema = Type.Object({
  path: Type.String({ description: 'JSON pointer inside the event.' }),
  field: Type.String({
    description:
      'The path by which violations are counted: `*` for positions and for names that the schema does not know.',
  }),
  keyword: Type.String(),
  message: Type.String(),
})
export const CheckAnswer = Type.Object(
  {
    version: Version,
    data: Type.Array(
      Type.Object({
        index: Type.Integer(),
        action: literals(['accept', ...MODES], { description: 'What would happen to the event.' }),
        violations: Type.Array(ViolationSchema, { description: 'At most 20.' }),
      }),
    ),
  },
  {
    description: 'One verdict for each event, in the order of the request.',
    examples: [
      {
        version: 7,
        data: [
          {
            index: 0,
            action: 'observe',
            violations: [
              { path: '/properties/total', field: '/properties/total', keyword: 'type', message: 'must be number' },
            ],
          },
        ],
      },
    ],
  },
)
export type CheckAnswer = Static<typeof CheckAnswer>

export const ViolationsQuery = Type.Object(
  {
    days: Type.Integer({
      minimum: 1,
      maximum: 30,
      default: 7,
      description: 'How far back, in days of UTC; 1 is today.',
    }),
    event: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    limit: LimitQuery,
    cursor: Type.Optional(NumberCursor),
  },
  { additionalProperties: false },
)
export type ViolationsQuery = Static<typeof ViolationsQuery>
const ViolationCount = Type.Object({
  event: Type.String(),
  field: ViolationSchema.properties.field,
  keyword: Type.String(),
  count: Type.Integer({ description: 'Events.' }),
  lastSeen: Time,
})
export const ViolationsAnswer = Type.Object(
  {
    ...page(ViolationCount),
    other: Type.Integer({ description: 'Further violations, of more kinds than are told apart in a day (1,000).' }),
  },
  {
    description: 'Violations, most frequent first.',
    examples: [
      {
        data: [
          {
            event: 'Order Completed',
            field: '/properties/total',
            keyword: 'type',
            count: 12,
            lastSeen: VERSION_EXAMPLE.changedAt,
          },
        ],
        nextCursor: null,
        other: 0,
      },
    ],
  },
)
export type ViolationsAnswer = Static<typeof ViolationsAnswer>

export const TypesAnswer = Type.Unsafe<string>({
  description: 'A .d.ts file.',
  content: {
    'application/typescript': {
      schema: { type: 'string', examples: ['export interface OrderCompleted { properties: { total: number } }'] },
    },
  },
})
