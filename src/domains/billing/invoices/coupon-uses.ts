import type { CouponTerms } from '../coupons/schemas.ts'

/**
 * How often a coupon counts. Every invoice belongs to one billing period: a start to the one that it begins; the invoice of a period to
 * the one that begins as that ends, or to its own where none does, as after a pause; a change, or charges of the operator, to the one in
 * which they were made. A coupon is used in a period when an invoice of it that is issued, and not void, has something taken off by it; where it
 * took off nothing it is not used. It counts on an invoice while it is used in fewer other periods than it lasts. In a period in which
 * it is used already a share goes on coming off everything, and a fixed amount comes off no more.
 */
export interface CouponFacts {
  /** In the order in which they count. */
  redeemed: readonly (Redeemed & { redeemedAt: Date })[]
  /** Invoices on which coupons took something off. */
  discounted: readonly (OfPeriod & { couponIds: readonly string[] })[]
  periods: readonly Placed[]
}

interface Redeemed {
  id: string
  code: string
  coupon: CouponTerms
  currency: string | null
}

interface Placed {
  id: string
  number: number
  startsAt: Date
  endsAt: Date
}

/** What says to which period an invoice belongs. */
interface OfPeriod {
  /** The period that it closes; null for one over charges alone. */
  periodId: string | null
  charges: readonly { periodId: string; kind: string }[]
}

/** A coupon on an invoice. `period` says in how many other periods it is used. */
export type CountedCoupon = Redeemed & { period: bigint }

/** The coupons that may count on an invoice which bills what was until a time. One that closes a period that runs begins an unknown one. */
export function couponsOn(
  invoice: OfPeriod & { at: Date; beginsUnknown?: boolean },
  { redeemed, discounted, periods }: CouponFacts,
): CountedCoupon[] {
  const inOrder = periods.toSorted(byTime)
  const own = invoice.beginsUnknown ? undefined : periodOf(invoice, inOrder)
  const uses = discounted.map((one) => ({ couponIds: one.couponIds, usedIn: periodOf(one, inOrder) }))
  return redeemed.flatMap(({ redeemedAt, ...one }) => {
    if (redeemedAt > invoice.at) return []
    const used = new Set(uses.flatMap(({ couponIds, usedIn }) => (couponIds.includes(one.id) ? [usedIn] : [])))
    const isUsedHere = own !== undefined && used.delete(own)
    if (isUsedHere && one.coupon.kind === 'amount') return []
    return [{ ...one, period: BigInt(used.size) }]
  })
}

/** The id of the period to which an invoice belongs. */
function periodOf({ periodId, charges }: OfPeriod, inOrder: readonly Placed[]): string | undefined {
  if (periodId !== null) {
    const place = inOrder.findIndex(({ id }) => id === periodId)
    const [own, next] = [inOrder[place], inOrder[place + 1]]
    return next?.startsAt.getTime() === own?.endsAt.getTime() ? next?.id : periodId
  }
  const bases = charges.filter(({ kind }) => kind === 'base')
  const ids = (bases.length > 0 ? bases : charges).map((charge) => charge.periodId)
  return inOrder.findLast(({ id }) => ids.includes(id))?.id
}

/** One that is left as it begins comes before the one that takes its place. */
const byTime = (one: Placed, other: Placed): number =>
  one.startsAt.getTime() - other.startsAt.getTime() ||
  one.endsAt.getTime() - other.endsAt.getTime() ||
  one.number - other.number
