import { Problem } from '../../../../errors.ts'
import type { Postgres } from '../../../../infra/postgres.ts'
import { type Claim, claimsOf, SETTLING_FACTS, type Side } from './claims.ts'
import { readSides } from './store.ts'

/** An invoice of ours, and the one of Stripe's that it follows. */
interface Followed {
  organizationId: string
  invoiceId: string
  provider: 'stripe'
  reference: string
}

interface Dependencies {
  postgres: Postgres
  settling: {
    pay: (followed: Followed) => Promise<unknown>
    void: (followed: Followed, reason: string, by: 'system') => Promise<unknown>
    markUncollectible: (followed: Followed, reason: string, by: 'system') => Promise<unknown>
  }
  /** Told of an invoice that Stripe has settled otherwise than ours can be: somebody has to look. */
  onDiffering: (found: { invoiceId: string; stripeInvoiceId: string; reason: string }) => void
}

/**
 * Settles what Stripe was to collect. Our invoice and Stripe's are one claim, of which ours is the proof: it is paid, given up and void
 * when Stripe's over the same period is, and only if both come to the same. Either may be there first, so each of them has this done.
 * Safe to repeat.
 */
export function createCollecting({ postgres, settling, onDiffering }: Dependencies) {
  async function settle(organizationId: string, { ours, standing }: Claim<Side>): Promise<void> {
    const { status, stripeInvoiceId: reference } = standing
    const followed: Followed = { organizationId, invoiceId: ours.id, provider: 'stripe', reference }
    if (status === 'paid') await settling.pay(followed)
    if (status === 'void') await settling.void(followed, 'Stripe’s invoice was voided.', 'system')
    if (status === 'uncollectible')
      await settling.markUncollectible(followed, 'Stripe’s invoice was given up.', 'system')
  }

  async function follow(organizationId: string, claim: Claim<Side>): Promise<void> {
    const { ours, standing } = claim
    const found = { invoiceId: ours.id, stripeInvoiceId: standing.stripeInvoiceId }
    if (standing.status === 'differs') return onDiffering({ ...found, reason: 'amount' })
    try {
      await settle(organizationId, claim)
    } catch (error) {
      // A refusal stays one however often it is asked; anything else passes, and the fact is told again.
      if (!(error instanceof Problem) || error.status >= 500) throw error
      onDiffering({ ...found, reason: error.code })
    }
  }

  return async (organizationId: string): Promise<void> => {
    const { ours, theirs } = await postgres.withTenant(organizationId, (tx) =>
      readSides(tx, organizationId, SETTLING_FACTS),
    )
    for (const claim of claimsOf(ours, theirs)) if (isToFollow(claim)) await follow(organizationId, claim)
  }
}

/** What is paid stays so, and what is void too: only that Stripe was paid for it all the same is worth a word. */
function isToFollow({ ours, standing }: Claim<Side>): boolean {
  if (ours.status === 'paid') return false
  if (ours.status === 'void') return standing.status === 'paid'
  return standing.status !== 'open' && standing.status !== ours.status
}
