import type { Price } from '../../src/domains/billing/pricing/price.ts'

const PARTS = 10n ** 12n

/** Decimal text as a fraction over 10^12, read in another way than the program does. */
function fraction(text: string): bigint {
  const [whole = '0', digits = ''] = text.split('.')
  return [...digits].reduce(
    (sum, digit, index) => sum + BigInt(digit) * 10n ** BigInt(11 - index),
    BigInt(whole) * PARTS,
  )
}

/** The amount of a price, unit by unit in exact fractions and rounded once at the end. Slow and plain on purpose. */
export function naiveAmount(price: Price, quantity: bigint): bigint {
  const billed = Number(quantity) - Number(price.included ?? 0)
  const cost = Array.from({ length: Math.max(billed, 0) }, (_, index) => costOfUnit(price, index + 1, billed)).reduce(
    (sum, cost) => sum + cost,
    price.model === 'flat' ? BigInt(price.amount) * PARTS : 0n,
  )
  const amount = cost / PARTS + ((cost % PARTS) * 2n >= PARTS ? 1n : 0n)
  const minimum = BigInt(price.minimum ?? 0)
  return amount > minimum ? amount : minimum
}

/** What the nth billed unit adds; what comes with a tier or a package is added by the first unit in it. */
function costOfUnit(price: Price, nth: number, billed: number): bigint {
  if (price.model === 'flat') return 0n
  if (price.model === 'perUnit') return fraction(price.unitAmount)
  if (price.model === 'package')
    return (nth - 1) % Number(price.packageSize) === 0 ? BigInt(price.packageAmount) * PARTS : 0n
  const tierOf = (unit: number) => price.tiers.find(({ upTo }) => upTo === null || unit <= Number(upTo))
  const tier = tierOf(price.model === 'volume' ? billed : nth)
  const isFirst = nth === 1 || (price.model === 'graduated' && tierOf(nth - 1) !== tier)
  return fraction(tier?.unitAmount ?? '0') + (isFirst ? BigInt(tier?.flatAmount ?? 0) * PARTS : 0n)
}
