import { divideRounded } from '../money/rounding.ts'

/** What a whole is in basis points. */
export const BASIS_POINTS = 10_000n

/** The share of an amount that a rate in basis points (a hundredth of a percent) is, rounded once. */
export const shareOf = (amount: bigint, basisPoints: bigint): bigint =>
  divideRounded(amount * basisPoints, BASIS_POINTS)

export type Coupon = {
  /** In how many periods it counts: in one, in that many, or in every one. */
  duration: { kind: 'once' } | { kind: 'periods'; periods: bigint } | { kind: 'forever' }
} & ({ kind: 'percent'; basisPoints: bigint } | { kind: 'amount'; amount: bigint })

/**
 * What a coupon takes off a subtotal, in minor units: never more than there is, and nothing off a credit. `period` is in how many other
 * billing periods it is used.
 */
export function discountOf(coupon: Coupon, subtotal: bigint, period: bigint): bigint {
  if (subtotal <= 0n || !counts(coupon, period)) return 0n
  const discount = coupon.kind === 'percent' ? shareOf(subtotal, coupon.basisPoints) : coupon.amount
  return discount < subtotal ? discount : subtotal
}

function counts({ duration }: Coupon, period: bigint): boolean {
  if (period < 0n) return false
  if (duration.kind === 'forever') return true
  return period < (duration.kind === 'once' ? 1n : duration.periods)
}
