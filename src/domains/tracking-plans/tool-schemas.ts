import { type Static, Type } from '@sinclair/typebox'
import { LimitQuery, TimeInput } from '../../http/schemas.ts'
import { MODES } from './plan.ts'
import {
  EventName,
  JsonSchemaDocument,
  literals,
  NumberCursor,
  page,
  SCHEMA_EXAMPLE,
  Time,
  Version,
} from './schemas.ts'

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
            lastSeen: '2026-01-31T12:00:00.000Z',
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
