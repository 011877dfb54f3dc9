import { divideDown } from './rounding.ts'

/**
 * Splits a total by weights into whole parts that sum to it exactly. A part is less than one unit from its exact share, and a part
 * without weight is 0. Weights may be negative, as a credit among lines is, but must not cancel out unless the total is 0: a
 * RangeError says so.
 */
export function allocate(total: bigint, weights: readonly bigint[]): bigint[] {
  const sum = weights.reduce((one, other) => one + other, 0n)
  if (total === 0n) return weights.map(() => 0n)
  if (sum === 0n) throw new RangeError('there is nothing to allocate by')
  // Shares depend on the ratio alone, so the sign of both can be turned.
  return sum < 0n ? apportion(total, scaled(weights, -total), -sum) : apportion(total, scaled(weights, total), sum)
}

/**
 * Gives whole parts to exact shares (`share / divisor` each) so that they sum to `total`, which is the sum of the shares, rounded: the
 * method of the largest remainder, where of equal remainders the earlier part gets the unit. Credits are split as their charges were.
 */
export function apportion(total: bigint, shares: readonly bigint[], divisor: bigint): bigint[] {
  if (total < 0n) return scaled(apportion(-total, scaled(shares, -1n), divisor), -1n)
  const parts = shares.map((share) => {
    const part = divideDown(share, divisor)
    return { part, remainder: share - part * divisor }
  })
  let left = total - parts.reduce((given, { part }) => given + part, 0n)
  if (left < 0n || left > BigInt(parts.length)) throw new RangeError('the total is not that of the shares')
  for (const one of parts.toSorted((one, other) => compare(other.remainder, one.remainder))) {
    if (left === 0n) break
    one.part += 1n
    left -= 1n
  }
  return parts.map(({ part }) => part)
}

const scaled = (values: readonly bigint[], by: bigint): bigint[] => values.map((value) => value * by)
const compare = (one: bigint, other: bigint) => (one < other ? -1 : one > other ? 1 : 0)
