import { formatMoney } from '../money/money.ts'
import type { Coupon } from '../pricing/coupon.ts'
import type { CouponTerms } from './schemas.ts'

/** A coupon as amounts are computed with it. */
export function toCoupon(terms: CouponTerms): Coupon {
  const { duration } = terms
  const counted = duration.kind === 'periods' ? { ...duration, periods: BigInt(duration.periods) } : duration
  return terms.kind === 'percent'
    ? { kind: 'percent', basisPoints: BigInt(terms.basisPoints), duration: counted }
    : { kind: 'amount', amount: BigInt(terms.amount), duration: counted }
}

/** As people read it: `20 % off for 3 periods`. */
export function summaryOf(terms: CouponTerms): string {
  const off =
    terms.kind === 'percent' ? percentOf(terms.basisPoints) : formatMoney({ ...terms, amount: BigInt(terms.amount) })
  return `${off} off ${lengthOf(terms.duration)}`
}

function percentOf(basisPoints: number): string {
  const text = String(basisPoints).padStart(3, '0')
  const fraction = text.slice(-2).replace(/0+$/, '')
  return `${text.slice(0, -2)}${fraction && `.${fraction}`} %`
}

function lengthOf(duration: CouponTerms['duration']): string {
  if (duration.kind === 'forever') return 'every period'
  if (duration.kind === 'once' || duration.periods === 1) return 'once'
  return `for ${duration.periods} periods`
}
