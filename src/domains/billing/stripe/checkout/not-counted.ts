import type { Plan } from '../../catalog/schemas.ts'
import { toCoupon } from '../../coupons/terms.ts'
import { type CountedCoupon, type CouponFacts, couponsOn } from '../../invoices/coupon-uses.ts'
import { discountOf } from '../../pricing/coupon.ts'
import type { NotCounted } from './schemas.ts'

interface Standing {
  credit: bigint
  currency: string | null
  coupons: CouponFacts
}

/** The credit and the coupons of an organization that would come off the plan on an invoice of ours, and do not at Stripe. */
export function notCountedOf({ credit, currency, coupons }: Standing, plan: Plan, now: Date): NotCounted {
  const start = { periodId: null, charges: [], at: now, beginsUnknown: true }
  const takesOff = (one: CountedCoupon) =>
    (one.currency === null || one.currency === plan.currency) &&
    discountOf(toCoupon(one.coupon), BigInt(plan.basePrice ?? 0), one.period) > 0n
  return {
    credit: credit > 0n ? { amount: credit.toString(), currency: currency ?? plan.currency } : null,
    coupons: couponsOn(start, coupons)
      .filter(takesOff)
      .map(({ code }) => code),
  }
}
