import { Problem } from '../../../../errors.ts'
import type { Postgres } from '../../../../infra/postgres.ts'
import { findLastSubscription, findLiveSubscription } from '../store.ts'

/** A subscription as the organization's own is to follow it. */
export interface Provided {
  planKey: string
  version: number
  isCustom: boolean
  stripeSubscriptionId: string
  status: 'trialing' | 'active' | 'paused' | 'canceled'
  startsAt: Date
  endsAt: Date
  cancelAtPeriodEnd: boolean
}

interface Dependencies {
  postgres: Postgres
  setFromProvider: (organizationId: string, provided: Provided) => Promise<unknown>
  /** Told of what can never be followed, such as a plan that is not there anymore. */
  onRefused: (code: string) => void
}

/** While Stripe still tries to collect, nothing is taken away; once it has given up, ingestion stops until somebody pays. */
const STATUSES: Record<string, Provided['status']> = {
  trialing: 'trialing',
  active: 'active',
  past_due: 'active',
  unpaid: 'paused',
  paused: 'paused',
  canceled: 'canceled',
  incomplete_expired: 'canceled',
}

/**
 * Makes the organization's subscription what is stored of Stripe's: the oldest that has not ended, or the last of those that have. One that
 * nobody has paid for yet gives nothing. Safe to repeat.
 */
export function createFollowing({ postgres, setFromProvider, onRefused }: Dependencies) {
  return async (organizationId: string): Promise<void> => {
    const row = await postgres.withTenant(
      organizationId,
      async (tx) =>
        (await findLiveSubscription(tx, organizationId)) ?? (await findLastSubscription(tx, organizationId)),
    )
    const status = row && STATUSES[row.status]
    if (!status) return
    const { id: stripeSubscriptionId, planKey, planVersion: version, isCustom, cancelAtPeriodEnd } = row
    const { periodStartsAt: startsAt, periodEndsAt: endsAt } = row
    const reference = { stripeSubscriptionId, planKey, version, isCustom }
    try {
      await setFromProvider(organizationId, { ...reference, status, startsAt, endsAt, cancelAtPeriodEnd })
    } catch (error) {
      // A refusal stays one however often it is asked; anything else passes, and the fact is told again.
      if (!(error instanceof Problem) || error.status >= 500) throw error
      onRefused(error.code)
    }
  }
}
