import type { Plan } from '../../catalog/schemas.ts'
import { toCoupon } from '../../coupons/terms.ts'
import type { Facts } from '../../invoices/compose.ts'
import { discountOf } from '../../pricing/coupon.ts'
import type { NotCounted } from './schemas.ts'

/** The credit and the coupons of an organization that would come off the plan on an invoice of ours, and do not at Stripe. */
export function notCountedOf({ credit, currency, coupons }: Facts, plan: Plan): NotCounted {
  const takesOff = (one: Facts['coupons'][number]) =>
    (one.currency === null || one.currency === plan.currency) &&
    discountOf(toCoupon(one.coupon), BigInt(plan.basePrice ?? 0), one.period) > 0n
  return {
    credit: credit > 0n ? { amount: credit.toString(), currency: currency ?? plan.currency } : null,
    coupons: coupons.filter(takesOff).map(({ code }) => code),
  }
}
