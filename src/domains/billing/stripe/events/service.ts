import type { Acting } from '../../../../http/acting.ts'
import type { Postgres } from '../../../../infra/postgres.ts'
import { record } from '../../../audit/index.ts'
import { stripeEventNotFound } from '../errors.ts'
import { type EventRow, listEvents, reviveEvent } from '../processing/store.ts'
import { findOrganizationOfObject } from '../store.ts'
import type { StripeEventView } from './schemas.ts'

interface Dependencies {
  postgres: Postgres
  clock: () => Date
}

export type StripeEventsService = ReturnType<typeof createStripeEventsService>

/** What the operator sees of Stripe's events, and does about those that were set aside. */
export function createStripeEventsService({ postgres, clock }: Dependencies) {
  return {
    async list({ status, limit, cursor }: { status: EventRow['status']; limit: number; cursor: string | undefined }) {
      const page = { status, after: cursor, limit: limit + 1 }
      const rows = await postgres.withSystem((tx) => listEvents(tx, page))
      const data = rows.slice(0, limit).map(toView)
      return { data, nextCursor: rows.length > limit ? (data.at(-1)?.id ?? null) : null }
    },

    /** Has a dead event processed once more; throws 404 for any other. It stands in the audit log of whose object it is about, once that is known. */
    async replay(eventId: string, by: Acting): Promise<StripeEventView> {
      return postgres.withSystem(async (tx) => {
        const row = await reviveEvent(tx, eventId, clock())
        if (!row) throw stripeEventNotFound('There is no such event that was set aside.')
        const organizationId = row.objectId === null ? undefined : await findOrganizationOfObject(tx, row.objectId)
        const target = { kind: 'stripe_event', id: row.id }
        const after = { type: row.type, objectId: row.objectId }
        if (organizationId)
          await record(tx, { organizationId, by, action: 'billing.stripe_event_replayed', target, after })
        return toView(row)
      })
    },
  }
}

const toView = ({ id, type, objectId, status, attempts, error, createdAt, receivedAt }: EventRow): StripeEventView => ({
  ...{ id, type, objectId, status, attempts, error },
  createdAt: createdAt.toISOString(),
  receivedAt: receivedAt.toISOString(),
})
