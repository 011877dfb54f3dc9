import { DECIMAL_ONE, formatDecimal, parseDecimal, roundDecimal } from '../money/decimal.ts'
import { divideUp } from '../money/rounding.ts'
import type { Price } from './price.ts'

/** A run of units that cost the same: those after the unit `from`, up to and with the unit `to`. */
export interface PricedTier {
  from: bigint
  to: bigint
  quantity: bigint
  /** Minor units for each `per` units, as a decimal string. */
  unitAmount: string
  per: bigint
  /** Minor units that come with the tier whatever its quantity. */
  flatAmount: bigint
  /** Minor units. */
  amount: bigint
}

export interface Priced {
  /** Minor units: exactly the sum of the tiers and `topUp`. */
  amount: bigint
  tiers: PricedTier[]
  /** What is missing to the minimum. */
  topUp: bigint
}

/** A tier before anything is rounded; `cost` is in decimal parts of a minor unit. */
interface Step extends Omit<PricedTier, 'unitAmount' | 'amount'> {
  unitAmount: bigint
  cost: bigint
}

/**
 * Prices a quantity, exactly. Only the amount as a whole is rounded, once: the amount of a tier is what the rounded running total gains
 * with it, so that the tiers sum to the amount and none is off by a unit or more. The quantities of the tiers sum to the quantity.
 */
export function priceOf(price: Price, quantity: bigint): Priced {
  if (quantity < 0n) throw new RangeError('a quantity is not negative')
  const included = BigInt(price.included ?? 0)
  const free = quantity < included ? quantity : included
  const start = free > 0n ? [stepOf({ from: 0n, to: free })] : []
  const tiers = rounded([...start, ...stepsOf(price, quantity - free).map((step) => shifted(step, free))])
  const used = tiers.reduce((sum, { amount }) => sum + amount, 0n)
  const minimum = BigInt(price.minimum ?? 0)
  const topUp = minimum > used ? minimum - used : 0n
  return { amount: used + topUp, tiers, topUp }
}

function stepsOf(price: Price, quantity: bigint): Step[] {
  if (price.model === 'flat') return [stepOf({ from: 0n, to: quantity, flatAmount: BigInt(price.amount) })]
  if (quantity === 0n) return []
  const whole = { from: 0n, to: quantity }
  switch (price.model) {
    case 'perUnit':
      return [stepOf({ ...whole, unitAmount: parseDecimal(price.unitAmount) })]
    case 'package': {
      const per = BigInt(price.packageSize)
      return [stepOf({ ...whole, unitAmount: BigInt(price.packageAmount) * DECIMAL_ONE, per })]
    }
    case 'graduated':
      return tiersOf(price).flatMap(({ from, upTo, ...tier }) => {
        if (from >= quantity) return []
        return [stepOf({ ...tier, from, to: upTo === null || upTo > quantity ? quantity : upTo })]
      })
    case 'volume': {
      const reached = tiersOf(price).find(({ upTo }) => upTo === null || quantity <= upTo)
      if (!reached) throw new RangeError('the last tier of a price has no end')
      const { unitAmount, flatAmount } = reached
      return [stepOf({ ...whole, unitAmount, flatAmount })]
    }
  }
}

function tiersOf({ tiers }: Extract<Price, { model: 'graduated' | 'volume' }>) {
  let from = 0n
  return tiers.map(({ upTo, unitAmount, flatAmount }) => {
    const tier = {
      from,
      upTo: upTo === null ? null : BigInt(upTo),
      unitAmount: parseDecimal(unitAmount),
      flatAmount: BigInt(flatAmount ?? 0),
    }
    from = tier.upTo ?? from
    return tier
  })
}

type Measure = Pick<Step, 'from' | 'to'> & Partial<Pick<Step, 'unitAmount' | 'per' | 'flatAmount'>>

function stepOf({ from, to, unitAmount = 0n, per = 1n, flatAmount = 0n }: Measure): Step {
  const cost = flatAmount * DECIMAL_ONE + divideUp(to - from, per) * unitAmount
  return { from, to, quantity: to - from, unitAmount, per, flatAmount, cost }
}

const shifted = (step: Step, by: bigint): Step => ({ ...step, from: step.from + by, to: step.to + by })

function rounded(steps: Step[]): PricedTier[] {
  let total = 0n
  return steps.map(({ cost, unitAmount, ...step }) => {
    const before = roundDecimal(total)
    total += cost
    return { ...step, unitAmount: formatDecimal(unitAmount), amount: roundDecimal(total) - before }
  })
}
