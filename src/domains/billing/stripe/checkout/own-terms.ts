import type { TenantTx } from '../../../../infra/postgres.ts'
import type { Plan } from '../../catalog/schemas.ts'
import { toCoupon } from '../../coupons/terms.ts'
import { readFacts } from '../../invoices/sources/store.ts'
import { discountOf } from '../../pricing/coupon.ts'
import type { NotCounted } from './schemas.ts'

/** What invoices of ours would count and Stripe's do not. */
export interface OwnTerms {
  isTaxed: boolean
  notCounted: NotCounted
}

/** Whether an organization is billed with tax, and which credit and coupons it would expect to come off the plan. */
export async function readOwnTerms(tx: TenantTx, organizationId: string, plan: Plan, at: Date): Promise<OwnTerms> {
  const facts = await readFacts(tx, organizationId, { charges: [], at, collectedBy: null })
  const takesOff = ({ coupon, currency, period }: (typeof facts.coupons)[number]) =>
    (currency === null || currency === plan.currency) &&
    discountOf(toCoupon(coupon), BigInt(plan.basePrice ?? 0), period) > 0n
  return {
    isTaxed: facts.taxBasisPoints > 0n,
    notCounted: {
      credit: facts.credit > 0n ? { amount: facts.credit.toString(), currency: facts.currency ?? plan.currency } : null,
      coupons: facts.coupons.filter(takesOff).map(({ code }) => code),
    },
  }
}
