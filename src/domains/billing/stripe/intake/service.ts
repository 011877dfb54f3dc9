import Stripe from 'stripe'
import type { StripeAccount } from '../../../../config.ts'
import type { Postgres } from '../../../../infra/postgres.ts'
import { webhookRefused } from '../errors.ts'
import { toRow } from '../event-row.ts'
import { insertEvents } from '../processing/store.ts'

/** Stripe's own default, which nothing widens: an event that somebody copied is good for five minutes. */
const TOLERANCE_SECONDS = 300

export type IntakeService = ReturnType<typeof createIntakeService>

interface Dependencies {
  postgres: Postgres
  account: Pick<StripeAccount, 'webhookSecrets' | 'livemode'>
  clock: () => Date
}

/** Takes events from Stripe: checks that they are Stripe's and writes each down once. What follows is the work of a job. */
export function createIntakeService({ postgres, account, clock }: Dependencies) {
  function verify(payload: Buffer, signature: string): Stripe.Event {
    for (const secret of account.webhookSecrets) {
      try {
        return Stripe.webhooks.constructEvent(payload, signature, secret, TOLERANCE_SECONDS)
      } catch {
        // Signed with another of our secrets, or by nobody whom we know.
      }
    }
    throw webhookRefused('The signature is missing, not ours, or older than five minutes.')
  }

  return {
    /** Throws 400 for what Stripe has not signed just now with one of our secrets, and for the other mode's events. */
    async take(payload: Buffer, signature: string): Promise<void> {
      const event = verify(payload, signature)
      if (event.livemode !== account.livemode) throw webhookRefused('The event is of the other mode, live or test.')
      const row = toRow(event, clock())
      await postgres.withSystem((tx) => insertEvents(tx, [row]))
    },
  }
}
