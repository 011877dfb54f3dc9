import { type FieldError, invalidRequest } from '../../../errors.ts'
import type { Acting } from '../../../http/acting.ts'
import { newId } from '../../../ids.ts'
import type { Postgres, TenantTx } from '../../../infra/postgres.ts'
import { record } from '../../audit/index.ts'
import { couponNotFound, couponTaken, couponUsed } from '../errors.ts'
import { isCurrency } from '../money/money.ts'
import type { Coupon } from '../pricing/coupon.ts'
import type { CouponInput, CouponTerms } from './schemas.ts'
import { insertCoupon, insertRedeemed, listRedeemed, takeCoupon } from './store.ts'
import { summaryOf, toCoupon } from './terms.ts'

export type CouponsService = ReturnType<typeof createCouponsService>

/** A coupon as it counts on the invoices of an organization. */
export interface RedeemedCoupon {
  code: string
  coupon: Coupon
  /** Of a coupon over an amount, which counts on invoices of no other. */
  currency: string | null
  redeemedAt: Date
}

/** What the operator gives away by a code, and who has it. */
export function createCouponsService({
  postgres,
  clock = () => new Date(),
}: {
  postgres: Postgres
  clock?: () => Date
}) {
  return {
    /** Makes a coupon, for an operator. Throws 409 for a code that there is. */
    async create({ code, terms, redemptionsMax, expiresAt }: CouponInput, createdBy: string): Promise<void> {
      refuseFaults(terms)
      const currency = terms.kind === 'amount' ? terms.currency : null
      const expires = expiresAt === undefined ? null : new Date(expiresAt)
      const row = {
        code,
        coupon: { ...terms },
        currency,
        redemptionsMax: redemptionsMax ?? null,
        expiresAt: expires,
        createdBy,
      }
      if (!(await postgres.withSystem((tx) => insertCoupon(tx, row))))
        throw couponTaken(`There is a coupon ${code} already.`)
    },

    /**
     * Lets the discounts of an organization begin, once for each code. The coupon is copied: what becomes of it later changes nothing. One
     * that is unknown, used up or over looks the same. Before the organization is known to have it, the coupon is nobody's.
     */
    async redeem(organizationId: string, text: string, by: Acting): Promise<void> {
      const code = text.toUpperCase()
      await postgres.withSystem(async (tx) => {
        const taken = await takeCoupon(tx, code, clock())
        if (!taken) throw couponNotFound('There is no such coupon, or it can no longer be redeemed.')
        const { coupon, currency } = taken
        const row = { organizationId, id: newId('cpn'), code, coupon, currency, redeemedAt: clock() }
        if (!(await insertRedeemed(tx, row))) throw couponUsed('The organization has redeemed this coupon already.')
        const target = { kind: 'coupon', id: code }
        await record(tx, { organizationId, by, action: 'coupon.redeemed', target, after: coupon })
      })
    },

    /** What an organization has redeemed, as people read it. */
    async listFor(tx: TenantTx, organizationId: string) {
      return (await listRedeemed(tx, organizationId)).map(({ code, coupon, redeemedAt }) => ({
        code,
        summary: summaryOf(coupon as CouponTerms),
        redeemedAt: redeemedAt.toISOString(),
      }))
    },

    /** The same as invoices need it, in the order in which they count. */
    redeemedBy: async (organizationId: string): Promise<RedeemedCoupon[]> =>
      (await postgres.withTenant(organizationId, (tx) => listRedeemed(tx, organizationId))).map(
        ({ code, coupon, currency, redeemedAt }) => ({
          code,
          coupon: toCoupon(coupon as CouponTerms),
          currency,
          redeemedAt,
        }),
      ),
  }
}

function refuseFaults(terms: CouponTerms): void {
  if (terms.kind !== 'amount' || isCurrency(terms.currency)) return
  const errors: FieldError[] = [{ path: '/terms/currency', message: 'is not a currency' }]
  throw invalidRequest('The coupon cannot be made like this.', { errors })
}
