import { divideRounded } from './rounding.ts'

/** How many digits after the point a decimal may have. */
const FRACTION_DIGITS = 12
/** A decimal is held as a whole number of these parts of one, so that sums and products of it are exact. */
export const DECIMAL_ONE = 10n ** BigInt(FRACTION_DIGITS)

/** What `parseDecimal` takes, without a sign: for schemas. Twelve digits after the point at most, fifteen before it. */
export const DECIMAL_PATTERN = '^(0|[1-9]\\d{0,14})(\\.\\d{1,12})?$'
const DECIMAL = /^(-?)(\d+)(?:\.(\d{1,12}))?$/

/** Reads a decimal string, exactly. Throws a RangeError for anything else, more than twelve digits after the point among it. */
export function parseDecimal(text: string): bigint {
  const match = DECIMAL.exec(text)
  if (!match) throw new RangeError('not a decimal of at most twelve digits after the point')
  const [, sign, whole = '', fraction = ''] = match
  const parts = BigInt(whole + fraction.padEnd(FRACTION_DIGITS, '0'))
  return sign ? -parts : parts
}

/** The shortest decimal string that `parseDecimal` reads as the same. */
export function formatDecimal(parts: bigint): string {
  const digits = (parts < 0n ? -parts : parts).toString().padStart(FRACTION_DIGITS + 1, '0')
  const fraction = digits.slice(-FRACTION_DIGITS).replace(/0+$/, '')
  return `${parts < 0n ? '-' : ''}${digits.slice(0, -FRACTION_DIGITS)}${fraction && `.${fraction}`}`
}

/** The whole units nearest to a decimal. */
export const roundDecimal = (parts: bigint): bigint => divideRounded(parts, DECIMAL_ONE)
