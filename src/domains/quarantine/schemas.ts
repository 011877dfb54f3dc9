import { type Static, Type } from '@sinclair/typebox'
import { LimitQuery, TimeInput } from '../../http/schemas.ts'
import { DISCARD_ANSWER, ITEM_PAGE, MAPPING, REPLAY_ANSWER, SUMMARY } from './examples.ts'

export const LIMITS = { itemsPerCall: 1000, resultsShown: 100, groups: 200 } as const

export const STATUSES = ['open', 'replayed', 'discarded'] as const
export type Status = (typeof STATUSES)[number]
const StatusSchema = Type.Unsafe<Status>({ type: 'string', enum: [...STATUSES] })

const Reason = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: 200,
    description: 'Only items with this reason; `store.refused` also finds every `store.refused: …`.',
    examples: ['plan.violation'],
  }),
)
const EventName = Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'Only events of this name.' }))
const From = Type.Optional(Type.Union(TimeInput.anyOf, { description: 'Earliest time of receipt, inclusive.' }))
const To = Type.Optional(Type.Union(TimeInput.anyOf, { description: 'Latest time of receipt, exclusive.' }))
const CursorText = Type.String({
  maxLength: 1024,
  description: 'The `nextCursor` of the answer before, for the same search.',
})
const NextCursor = Type.Unsafe<string | null>({
  type: ['string', 'null'],
  description: 'Pass it as `cursor` to go on; null when there is no more.',
})
const Count = (description: string) => Type.Integer({ description })
const Time = Type.String({ format: 'date-time' })
const Bag = Type.Record(Type.String(), Type.Unknown())
const MessageId = Type.String({ minLength: 1, maxLength: 200 })

export const ViolationSchema = Type.Object(
  {
    path: Type.String({ description: 'JSON pointer inside the event.' }),
    keyword: Type.String({ description: 'The rule that is broken.' }),
    message: Type.String(),
  },
  { title: 'Violation' },
)
export type Violation = Static<typeof ViolationSchema>

export const SummaryQuery = Type.Object(
  { status: Type.Optional(StatusSchema), from: From, to: To },
  { additionalProperties: false },
)
export type SummaryQuery = Static<typeof SummaryQuery>

export const ItemsQuery = Type.Object(
  {
    reason: Reason,
    event: EventName,
    status: Type.Optional(StatusSchema),
    from: From,
    to: To,
    limit: LimitQuery,
    cursor: Type.Optional(CursorText),
  },
  { additionalProperties: false },
)
export type ItemsQuery = Static<typeof ItemsQuery>

const ItemSchema = Type.Object(
  {
    messageId: Type.String(),
    event: Type.String(),
    receivedAt: Time,
    reason: Type.String({ description: 'Code of the reason; a refusal of the event store names its error.' }),
    violations: Type.Array(ViolationSchema),
    planVersion: Type.Unsafe<number | null>({
      type: ['integer', 'null'],
      description: 'Version of the tracking plan that refused the event; null where none did.',
    }),
    status: StatusSchema,
    changedAt: Time,
    changedBy: Type.String({ description: 'user:… or key:… of the last change, `door` or `sink` before any.' }),
    payload: Type.Record(Type.String(), Type.Unknown(), { description: 'The event as it was sent.' }),
  },
  { title: 'QuarantinedEvent' },
)
export type Item = Static<typeof ItemSchema>

export const ItemPage = Type.Object(
  { data: Type.Array(ItemSchema), nextCursor: NextCursor },
  { description: 'One page of events, newest receipt first.', examples: [ITEM_PAGE] },
)
export type ItemPage = Static<typeof ItemPage>

export const Summary = Type.Object(
  {
    data: Type.Array(
      Type.Object({
        reason: Type.String(),
        event: Type.String(),
        status: StatusSchema,
        count: Count('Events of this reason, name and status.'),
        firstReceivedAt: Time,
        lastReceivedAt: Time,
      }),
    ),
    total: Count('Events in all groups, the ones beyond the list included.'),
  },
  { description: `The ${LIMITS.groups} largest groups, largest first.`, examples: [SUMMARY] },
)
export type Summary = Static<typeof Summary>

/** What a change applies to: a filter or a list of ids. */
const selection = {
  filter: Type.Optional(
    Type.Object({ reason: Reason, event: EventName, from: From, to: To }, { additionalProperties: false }),
  ),
  messageIds: Type.Optional(Type.Array(MessageId, { minItems: 1, maxItems: LIMITS.itemsPerCall, uniqueItems: true })),
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: LIMITS.itemsPerCall, description: 'Most events of one call; 1000 if absent.' }),
  ),
  cursor: Type.Optional(CursorText),
}

const Pointers = (value: ReturnType<typeof Type.String>, description: string) =>
  Type.Optional(Type.Record(Type.String(), value, { description }))

export const MappingSchema = Type.Object(
  {
    remove: Type.Optional(Type.Array(Type.String(), { maxItems: 100, description: 'Fields to take out.' })),
    rename: Pointers(Type.String(), 'From where to where; a value that is already there is not overwritten.'),
    cast: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Unsafe<'number' | 'string' | 'boolean'>({ enum: ['number', 'string', 'boolean'] }),
        {
          description: 'Types to turn fields into; a value that would lose something fails.',
        },
      ),
    ),
    set: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: 'Values to put in, over what is there.' }),
    ),
  },
  {
    additionalProperties: false,
    description:
      'Repairs, by JSON pointers inside of the event. They run in the order remove, rename, cast, set. A field that an event lacks is passed over; the messageId cannot be changed.',
    examples: [MAPPING],
  },
)
export type Mapping = Static<typeof MappingSchema>

export const ReplayInput = Type.Object(
  {
    ...selection,
    mapping: Type.Optional(MappingSchema),
    dryRun: Type.Optional(Type.Boolean({ default: false, description: 'Only say what would happen.' })),
  },
  { additionalProperties: false },
)
export type ReplayInput = Static<typeof ReplayInput>

export const DiscardInput = Type.Object(selection, { additionalProperties: false })
export type DiscardInput = Static<typeof DiscardInput>

const OUTCOMES = ['passing', 'replayed', 'duplicate', 'failing'] as const
export type Outcome = (typeof OUTCOMES)[number]

export const ReplayResult = Type.Object({
  messageId: Type.String(),
  outcome: Type.Unsafe<Outcome>({
    type: 'string',
    enum: [...OUTCOMES],
    description:
      '`passing`: would be taken (dry run). `replayed`: taken now. `duplicate`: an event with this messageId was taken before and stands. `failing`: stays here, `violations` says why.',
  }),
  event: Type.Optional(Type.Unsafe<Static<typeof Bag>>({ ...Bag, description: 'The repaired event, in a dry run.' })),
  violations: Type.Optional(Type.Array(ViolationSchema)),
})
export type ReplayResult = Static<typeof ReplayResult>

export const ReplayAnswer = Type.Object(
  {
    dryRun: Type.Boolean(),
    matched: Count('Events that this call looked at.'),
    passing: Count('Of these, the ones that the door takes or knows already.'),
    failing: Count('Of these, the ones that still do not pass. They stay.'),
    replayed: Count('Taken by this call; 0 in a dry run.'),
    duplicates: Count('Known to the door or the store already, and now closed; 0 in a dry run.'),
    results: Type.Array(ReplayResult, { description: `Up to ${LIMITS.resultsShown} of them, failing ones first.` }),
    nextCursor: NextCursor,
  },
  { description: 'What happened to each event, or would happen.', examples: [REPLAY_ANSWER] },
)
export type ReplayAnswer = Static<typeof ReplayAnswer>

export const DiscardAnswer = Type.Object(
  { discarded: Count('Events that this call discarded.'), nextCursor: NextCursor },
  { description: 'Discarded events stay readable and can still be replayed by their ids.', examples: [DISCARD_ANSWER] },
)
export type DiscardAnswer = Static<typeof DiscardAnswer>
