import { type Static, Type } from '@sinclair/typebox'
import { LimitQuery } from '../../../../http/schemas.ts'

const EventId = Type.String({ pattern: '^[a-zA-Z0-9_]{1,255}$', description: 'Id of the event.' })
const Time = Type.String({ format: 'date-time' })
const EVENT_EXAMPLE = {
  id: 'evt_1Pgc7aLkdIwHu7ix',
  type: 'invoice.paid',
  objectId: 'in_1Pgc6tLkdIwHu7ix',
  status: 'dead' as const,
  attempts: 10,
  error: 'stripe 404 resource_missing',
  createdAt: '2026-02-01T09:30:00.000Z',
  receivedAt: '2026-02-01T09:30:02.000Z',
}

export const StripeEventStatus = Type.Union([
  Type.Literal('pending'),
  Type.Literal('done'),
  Type.Literal('ignored'),
  Type.Literal('dead'),
])
export const StripeEventView = Type.Object(
  {
    id: Type.String(),
    type: Type.String(),
    objectId: Type.Union([Type.String(), Type.Null()], {
      description: 'What it is about; null for what is not followed.',
    }),
    status: StripeEventStatus,
    attempts: Type.Integer(),
    error: Type.Union([Type.String(), Type.Null()], { description: 'What the last attempt failed of.' }),
    createdAt: Time,
    receivedAt: Time,
  },
  { description: 'An event of Stripe’s.', examples: [EVENT_EXAMPLE] },
)
export type StripeEventView = Static<typeof StripeEventView>

export const StripeEventPage = Type.Object(
  {
    data: Type.Array(StripeEventView),
    nextCursor: Type.Union([Type.String(), Type.Null()], { description: 'Of the next page; null on the last.' }),
  },
  { description: 'Events, by their ids from the last.', examples: [{ data: [EVENT_EXAMPLE], nextCursor: null }] },
)
export const StripeEventQuery = Type.Object(
  {
    status: Type.Optional({ ...StripeEventStatus, default: 'dead' as const }),
    limit: LimitQuery,
    cursor: Type.Optional(EventId),
  },
  { additionalProperties: false },
)
export const StripeEventParams = Type.Object({ eventId: EventId })
