import fc from 'fast-check'
import t from 'tap'
import { type Coupon, discountOf } from '../../src/domains/billing/pricing/coupon.ts'
import { totalsOf } from '../../src/domains/billing/pricing/totals.ts'

fc.configureGlobal({ seed: 7 })

const lines = fc.array(fc.bigInt({ min: -(10n ** 9n), max: 10n ** 9n }), { maxLength: 12 })
const charges = fc.array(fc.bigInt({ min: 0n, max: 10n ** 9n }), { maxLength: 12 })
const coupon = fc.oneof(
  fc.record({ kind: fc.constant('percent' as const), basisPoints: fc.bigInt({ min: 1n, max: 10_000n }) }),
  fc.record({ kind: fc.constant('amount' as const), amount: fc.bigInt({ min: 1n, max: 10n ** 9n }) }),
)
const forever = { kind: 'forever' } as const
const coupons = fc.array(
  coupon.map((coupon): { coupon: Coupon; period: bigint } => ({
    coupon: { ...coupon, duration: forever },
    period: 0n,
  })),
  { maxLength: 3 },
)
const taxBasisPoints = fc.bigInt({ min: 0n, max: 3000n })
const sum = (values: bigint[]) => values.reduce((one, other) => one + other, 0n)
const COLUMNS = ['amount', 'discount', 'net', 'tax', 'total'] as const

t.test('each column of the lines sums to that of the invoice, and every line adds up', async () => {
  fc.assert(
    fc.property(lines, coupons, taxBasisPoints, (lines, coupons, taxBasisPoints) => {
      const { lines: parts, discounts, ...whole } = totalsOf({ lines, coupons, taxBasisPoints })
      return (
        COLUMNS.every((column) => sum(parts.map((part) => part[column])) === whole[column]) &&
        sum(discounts) === whole.discount &&
        [...parts, whole].every(({ amount, discount, net, tax, total }) => {
          return net === amount - discount && total === net + tax
        })
      )
    }),
    { numRuns: 500 },
  )
})

t.test(
  'the tax of every line is less than a unit from its own exact tax, credits among the lines or not',
  async (t) => {
    fc.assert(
      fc.property(lines, coupons, taxBasisPoints, (lines, coupons, taxBasisPoints) => {
        return totalsOf({ lines, coupons, taxBasisPoints }).lines.every(({ net, tax }) => {
          const off = tax * 10_000n - net * taxBasisPoints
          return off < 10_000n && off > -10_000n
        })
      }),
      { numRuns: 500 },
    )
    const { tax, lines: parts } = totalsOf({ lines: [1_000_003n, -1_000_000n], coupons: [], taxBasisPoints: 1900n })
    t.same([tax, parts.map((part) => part.tax)], [1n, [190_001n, -190_000n]])
  },
)

t.test('a discount takes no line below nothing and no invoice below nothing', async () => {
  fc.assert(
    fc.property(charges, coupons, taxBasisPoints, (lines, coupons, taxBasisPoints) => {
      const { lines: parts, ...whole } = totalsOf({ lines, coupons, taxBasisPoints })
      return [...parts, whole].every(({ net, discount, tax }) => net >= 0n && discount >= 0n && tax >= 0n)
    }),
  )
})

t.test('what coupons take off comes off the charges, and no credit grows or shrinks by it', async () => {
  fc.assert(
    fc.property(lines, coupons, (lines, coupons) => {
      const { lines: parts } = totalsOf({ lines, coupons, taxBasisPoints: 0n })
      return parts.every(({ amount, discount }) => amount > 0n || discount === 0n)
    }),
  )
})

t.test('an invoice that takes another back is its exact negative', async () => {
  fc.assert(
    fc.property(lines, taxBasisPoints, (lines, taxBasisPoints) => {
      const charged = totalsOf({ lines, coupons: [], taxBasisPoints })
      const credited = totalsOf({ lines: lines.map((line) => -line), coupons: [], taxBasisPoints })
      return (
        credited.total === -charged.total &&
        credited.lines.every(({ tax }, index) => tax === -(charged.lines[index]?.tax ?? 0n))
      )
    }),
  )
})

t.test('the tax is of the whole invoice and not of its rounded lines', async (t) => {
  const { tax, lines } = totalsOf({ lines: [3n, 3n, 3n], coupons: [], taxBasisPoints: 2000n })
  t.equal(tax, 2n, '20 % of 9 is 1.8, where three lines rounded alone are 3')
  t.same(
    lines.map((line) => line.tax),
    [1n, 1n, 0n],
  )
})

t.test('coupons count for as many periods as they say, one after the other', async (t) => {
  const half = (duration: Coupon['duration']): Coupon => ({ kind: 'percent', basisPoints: 5000n, duration })
  const discounts = (coupon: Coupon) => [-1n, 0n, 1n, 2n, 3n].map((period) => discountOf(coupon, 1001n, period))
  t.same(discounts(half({ kind: 'once' })), [0n, 501n, 0n, 0n, 0n])
  t.same(discounts(half({ kind: 'periods', periods: 3n })), [0n, 501n, 501n, 501n, 0n])
  t.same(discounts(half(forever)), [0n, 501n, 501n, 501n, 501n])
  const amount: Coupon = { kind: 'amount', amount: 700n, duration: forever }
  t.equal(discountOf(amount, 500n, 0n), 500n, 'no more than there is')
  t.equal(discountOf(amount, -500n, 0n), 0n, 'nothing off a credit')
  const both = [half(forever), amount].map((coupon) => ({ coupon, period: 0n }))
  t.match(totalsOf({ lines: [1000n], coupons: both, taxBasisPoints: 1000n }), {
    discounts: [500n, 500n],
    net: 0n,
    tax: 0n,
    total: 0n,
  })
  t.match(totalsOf({ lines: [1000n], coupons: both.slice(0, 1), taxBasisPoints: 1000n }), {
    net: 500n,
    tax: 50n,
    total: 550n,
  })
})
