import type { Price, Tier } from '../../../src/domains/billing/pricing/price.ts'
import { type Fraction, fraction, fractionOf, plus, rounded, times } from './fraction.ts'

/** What a quantity costs, exact until the end and rounded there. */
export function amountOf(price: Price, quantity: bigint): bigint {
  const billed = quantity - BigInt(price.included ?? '0')
  const amount = rounded(exact(price, billed > 0n ? billed : 0n))
  const minimum = BigInt(price.minimum ?? '0')
  return amount > minimum ? amount : minimum
}

function exact(price: Price, billed: bigint): Fraction {
  if (price.model === 'flat') return fractionOf(price.amount)
  if (billed === 0n) return fraction(0n)
  if (price.model === 'perUnit') return times(fractionOf(price.unitAmount), fraction(billed))
  if (price.model === 'package') {
    let packages = billed / BigInt(price.packageSize)
    if (packages * BigInt(price.packageSize) < billed) packages += 1n
    return times(fractionOf(price.packageAmount), fraction(packages))
  }
  return price.model === 'volume' ? volume(price.tiers, billed) : graduated(price.tiers, billed)
}

function volume(tiers: readonly Tier[], billed: bigint): Fraction {
  const tier = tiers.find(({ upTo }) => upTo === null || billed <= BigInt(upTo))
  if (!tier) throw new Error('no tier has no end')
  return ofTier(tier, billed)
}

function graduated(tiers: readonly Tier[], billed: bigint): Fraction {
  let cost = fraction(0n)
  let before = 0n
  for (const tier of tiers) {
    if (billed <= before) break
    const end = tier.upTo === null || BigInt(tier.upTo) > billed ? billed : BigInt(tier.upTo)
    cost = plus(cost, ofTier(tier, end - before))
    before = end
  }
  return cost
}

const ofTier = ({ unitAmount, flatAmount }: Tier, units: bigint): Fraction =>
  plus(times(fractionOf(unitAmount), fraction(units)), fractionOf(flatAmount ?? '0'))

/** The part of an amount for a whole period that falls on a part of it, by the second: the difference of two rounded running amounts. */
export function proratedFrom(amount: bigint, startsAtMs: number, endsAtMs: number, fromMs: number): bigint {
  const seconds = (ms: number) => BigInt(Math.floor(ms / 1000) - Math.floor(startsAtMs / 1000))
  return amount - rounded(fraction(amount * seconds(fromMs), seconds(endsAtMs)))
}
