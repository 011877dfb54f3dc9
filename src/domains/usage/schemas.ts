import { type Static, Type } from '@sinclair/typebox'
import { QueryMeta, TimeInput } from '../../http/schemas.ts'

export const IngestionQuery = Type.Object(
  {
    from: Type.Optional(
      Type.Union(TimeInput.anyOf, { description: 'First day, in UTC; by default the seventh day back from `to`.' }),
    ),
    to: Type.Optional(
      Type.Union(TimeInput.anyOf, {
        description: 'End, exclusive; the day of a later time counts too. By default now.',
      }),
    ),
  },
  { additionalProperties: false },
)
export type IngestionQuery = Static<typeof IngestionQuery>

const Count = (description: string) => Type.Integer({ minimum: 0, description })

const IngestionDay = Type.Object({
  day: Type.String({ format: 'date', description: 'Day of receipt, UTC.' }),
  accepted: Count('New events that the door took.'),
  duplicates: Count('Events that the door had taken before, conflicts among them.'),
  conflicts: Count('Duplicates whose content differs from the first copy, which stands.'),
  rejected: Type.Record(Type.String(), Type.Integer(), {
    description: 'Events that were refused as invalid, by the code that the sender was told.',
  }),
  burstRefused: Count('Events of requests that came over the burst limit; the sender was told to send them again.'),
  quotaExceeded: Count('Events beyond the limit of the billing period that were not taken.'),
  held: Count('Events beyond the limit that were kept back, to be taken as soon as there is room.'),
  sampledOut: Count('Events beyond the limit that the sample left out.'),
  quarantined: Count('Events that were set aside for repair.'),
  deadLetters: Count('Accepted events that the event store refused; they are kept.'),
  stored: Count(
    'Events whose first copy came on this day and that queries show, each once; without those that the project kept no longer.',
  ),
})

export const IngestionAnswer = Type.Object(
  {
    data: Type.Array(IngestionDay, { description: 'Every day of the range.' }),
    lagSeconds: Type.Number({ description: 'Age of the oldest acknowledged event that cannot be queried yet, or 0.' }),
    completeThrough: QueryMeta.properties.completeThrough,
    meta: QueryMeta,
  },
  {
    description: 'What became of the events that were sent.',
    examples: [
      {
        data: [
          {
            day: '2026-01-31',
            accepted: 1200,
            duplicates: 36,
            conflicts: 1,
            rejected: { 'events.invalid': 4 },
            burstRefused: 0,
            quotaExceeded: 0,
            held: 0,
            sampledOut: 0,
            quarantined: 0,
            deadLetters: 0,
            stored: 1200,
          },
        ],
        lagSeconds: 0.4,
        completeThrough: '2026-01-31T12:00:00.000Z',
        meta: { elapsedMs: 12, rowsRead: 1200, cached: false, completeThrough: '2026-01-31T12:00:00.000Z' },
      },
    ],
  },
)
export type IngestionAnswer = Static<typeof IngestionAnswer>
