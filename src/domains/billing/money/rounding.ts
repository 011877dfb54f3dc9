/**
 * The one rounding of money: to the nearest minor unit, a half away from zero. It is what people do by hand when they check an invoice,
 * and it is symmetric, so that a credit is the exact negative of the charge that it takes back. `divisor` must be positive.
 */
export function divideRounded(dividend: bigint, divisor: bigint): bigint {
  requirePositive(divisor)
  const size = dividend < 0n ? -dividend : dividend
  const rounded = (2n * size + divisor) / (2n * divisor)
  return dividend < 0n ? -rounded : rounded
}

/** The largest whole quotient that is not above the exact one; the language's own division goes towards zero. */
export function divideDown(dividend: bigint, divisor: bigint): bigint {
  requirePositive(divisor)
  const quotient = dividend / divisor
  return dividend < 0n && quotient * divisor !== dividend ? quotient - 1n : quotient
}

/** The smallest whole quotient that is not below the exact one. */
export function divideUp(dividend: bigint, divisor: bigint): bigint {
  return -divideDown(-dividend, divisor)
}

function requirePositive(divisor: bigint): void {
  if (divisor <= 0n) throw new RangeError('the divisor must be positive')
}
