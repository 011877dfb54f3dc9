import { INVOICE_FINALIZED } from '../../invoices/fact-kinds.ts'
import { STRIPE_INVOICE_GIVEN_UP, STRIPE_INVOICE_PAID } from '../fact-kinds.ts'

/** The facts upon which claims are settled. */
export const SETTLING_FACTS = [STRIPE_INVOICE_PAID, STRIPE_INVOICE_GIVEN_UP, INVOICE_FINALIZED]

/** An invoice as one of the two sides of a claim has it. */
export interface Side {
  id: string
  status: string
  total: bigint
  currency: string
  /** When Stripe bills it: the end of its period. Null where there is no such time. */
  billedAtMs: number | null
}

export interface OwnSide extends Side {
  number: string
  createdAtMs: number
}

/** What there is on both sides at one moment. */
export interface Sides {
  ours: OwnSide[]
  theirs: Side[]
  /** Whether something was written that has not led to anything yet. */
  isMoving: boolean
}

/** What Stripe's invoices of a claim come to: how ours should stand, or that they are over another amount. */
export interface Standing {
  status: 'open' | 'paid' | 'uncollectible' | 'void' | 'differs'
  /** The invoice of Stripe's that says so. */
  stripeInvoiceId: string
}

export interface Claim<Ours extends Side> {
  ours: Ours
  standing: Standing
}

/** How far Stripe's clock and ours may be apart; periods are days at least. */
const TOLERANCE_MS = 300_000

/**
 * Puts invoices of Stripe's to ours that they claim the same with. Each belongs to one of ours at most: one of its amount before all
 * others, and of these the nearest in time. Ours that Stripe has nothing of are left out.
 */
export function claimsOf<Ours extends Side>(ours: readonly Ours[], theirs: readonly Side[]): Claim<Ours>[] {
  const tries = new Map<Ours, Side[]>()
  for (const one of theirs) {
    const own = nearestOf(ours, one)
    if (own) tries.set(own, [...(tries.get(own) ?? []), one])
  }
  return ours.flatMap((own) => {
    const standing = standingOf(own, tries.get(own) ?? [])
    return standing ? [{ ours: own, standing }] : []
  })
}

function nearestOf<Ours extends Side>(ours: readonly Ours[], theirs: Side): Ours | undefined {
  const rank = (own: Ours) => distanceMs(own, theirs) + (isSame(own, theirs) ? 0 : TOLERANCE_MS)
  return ours.filter((own) => distanceMs(own, theirs) < TOLERANCE_MS).sort((one, other) => rank(one) - rank(other))[0]
}

/**
 * A claim is lost only when every try to collect it is: one that is paid pays it, and as long as one can still be paid nothing is decided.
 * One that was voided says nothing where another is over another amount.
 */
function standingOf(ours: Side, tries: readonly Side[]): Standing | undefined {
  const same = tries.filter((one) => isSame(ours, one))
  const isStill = (status: string) => (one: Side) => one.status === status
  const found = (status: Standing['status'], one: Side | undefined) => one && { status, stripeInvoiceId: one.id }
  return (
    found('paid', same.find(isStill('paid'))) ??
    found('open', tries.find(isStill('open')) ?? tries.find(isStill('draft'))) ??
    found(
      'differs',
      tries.find((one) => !isSame(ours, one) && one.status !== 'void'),
    ) ??
    found('uncollectible', same.find(isStill('uncollectible'))) ??
    found('void', same[0]) ??
    found('differs', tries[0])
  )
}

const isSame = (one: Side, other: Side) => one.total === other.total && one.currency === other.currency

const distanceMs = (one: Side, other: Side) => Math.abs((one.billedAtMs ?? NaN) - (other.billedAtMs ?? NaN))
