/** An exact number. The denominator is positive. */
export interface Fraction {
  over: bigint
  under: bigint
}

export const fraction = (over: bigint, under = 1n): Fraction => ({ over, under })

/** Decimal text, read as it is written: all its digits over a power of ten. */
export function fractionOf(text: string): Fraction {
  const [whole = '0', digits = ''] = text.split('.')
  return fraction(BigInt(whole + digits), 10n ** BigInt(digits.length))
}

export const plus = (one: Fraction, other: Fraction): Fraction =>
  fraction(one.over * other.under + other.over * one.under, one.under * other.under)

export const times = (one: Fraction, other: Fraction): Fraction =>
  fraction(one.over * other.over, one.under * other.under)

/** To the nearest whole number, a half away from zero. */
export function rounded({ over, under }: Fraction): bigint {
  const size = over < 0n ? -over : over
  const whole = size / under
  const up = (size - whole * under) * 2n >= under ? whole + 1n : whole
  return over < 0n ? -up : up
}
