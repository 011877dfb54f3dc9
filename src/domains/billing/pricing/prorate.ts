import { divideRounded } from '../money/rounding.ts'

/** A part of a billing period, in seconds from its start: from `from`, up to `to` and without it. */
export interface Share {
  from: bigint
  to: bigint
  period: bigint
}

/**
 * What an amount for a whole period is worth for a part of it, by the second. It is what the rounded running amount gains over the part,
 * so that parts which follow each other sum to the amount of what they cover, however often a period is split; a part is less than one
 * unit from its exact share. Throws a RangeError for a part that is not inside its period.
 */
export function prorate(amount: bigint, { from, to, period }: Share): bigint {
  if (from < 0n || to < from || to > period) throw new RangeError('the part is not inside its period')
  return divideRounded(amount * to, period) - divideRounded(amount * from, period)
}

/** Whole seconds from one time to another. Both are cut to the second, so that parts which meet in a time meet in a second. */
export function secondsBetween(from: Date, to: Date): bigint {
  return secondOf(to) - secondOf(from)
}

const secondOf = (time: Date): bigint => BigInt(time.getTime()) / 1000n
