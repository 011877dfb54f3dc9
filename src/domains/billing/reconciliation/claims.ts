import { type Claim, claimsOf, type Side, type Sides } from '../stripe/collecting/claims.ts'

/**
 * Invoices of ours that stand otherwise than Stripe's of the same claim. While something is on its way between the two nothing is said.
 */
export function claimDrifts({ ours, theirs, isMoving }: Sides, since: Date): { about: string; detail: string }[] {
  if (isMoving) return []
  return claimsOf(ours, theirs)
    .filter((claim) => claim.ours.createdAtMs >= since.getTime() && isDrift(claim))
    .map(({ ours: { number, status }, standing: { stripeInvoiceId, status: theirStatus } }) => ({
      about: number,
      detail:
        theirStatus === 'differs'
          ? `ours is ${status}, and Stripe’s ${stripeInvoiceId} is over another amount`
          : `ours is ${status}, and Stripe’s ${stripeInvoiceId} is ${theirStatus}`,
    }))
}

/** Nothing is collected of what costs nothing, and what Stripe bills to another amount is settled by hand. */
function isDrift({ ours: { status, total }, standing }: Claim<Side>): boolean {
  if (total === 0n) return false
  return standing.status === 'differs' ? status === 'open' || status === 'uncollectible' : standing.status !== status
}
