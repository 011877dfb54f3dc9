import type Stripe from 'stripe'
import { kindOf } from './objects.ts'

/** The row of an event. One whose object we do not follow is written down, and settled at once. */
export function toRow(event: Stripe.Event, now: Date) {
  const { id = null } = event.data.object as { id?: string }
  const isFollowed = id !== null && kindOf(id) !== undefined
  return {
    id: event.id,
    type: event.type,
    objectId: isFollowed ? id : null,
    createdAt: new Date(event.created * 1000),
    apiVersion: event.api_version,
    livemode: event.livemode,
    status: isFollowed ? ('pending' as const) : ('ignored' as const),
    dueAt: now,
    receivedAt: now,
  }
}
