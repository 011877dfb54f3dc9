import { allocate, apportion } from '../money/allocate.ts'
import { BASIS_POINTS, type Coupon, discountOf, shareOf } from './coupon.ts'

export interface Charges {
  /** Minor units of each line before discount and tax; a credit is negative. */
  lines: readonly bigint[]
  /** In the order in which they count; each takes off what those before have left. */
  coupons: readonly { coupon: Coupon; period: bigint }[]
  /** The organization's tax rate, on top of the prices. */
  taxBasisPoints: bigint
}

/** All in minor units: `net` is amount − discount, and `total` is net + tax. */
export interface Totals {
  amount: bigint
  discount: bigint
  net: bigint
  tax: bigint
  total: bigint
}

/**
 * What an invoice comes to. Discount and tax are computed for the invoice as a whole, rounded once, and then given to the lines: each
 * column of the lines sums exactly to that of the invoice, and every line adds up in itself.
 */
export function totalsOf({
  lines,
  coupons,
  taxBasisPoints,
}: Charges): Totals & { lines: Totals[]; discounts: bigint[] } {
  const amount = sum(lines)
  const discounts: bigint[] = []
  for (const { coupon, period } of coupons) discounts.push(discountOf(coupon, amount - sum(discounts), period))
  // A credit among the lines is no smaller for a coupon: what is taken off comes off the charges.
  const charges = lines.map((line) => (line > 0n ? line : 0n))
  const discountParts = allocate(sum(discounts), charges)
  const nets = lines.map((line, index) => line - (discountParts[index] ?? 0n))
  const tax = shareOf(sum(nets), taxBasisPoints)
  // By the lines' own exact taxes: by their weights in a sum that credits make small, one rounded unit would become many.
  const exact = nets.map((net) => net * taxBasisPoints)
  const taxParts = apportion(tax, exact, BASIS_POINTS)
  const whole = lines.map((line, index) => totals(line, discountParts[index] ?? 0n, taxParts[index] ?? 0n))
  return { ...totals(amount, sum(discounts), tax), lines: whole, discounts }
}

function totals(amount: bigint, discount: bigint, tax: bigint): Totals {
  const net = amount - discount
  return { amount, discount, net, tax, total: net + tax }
}

const sum = (values: readonly bigint[]): bigint => values.reduce((one, other) => one + other, 0n)
