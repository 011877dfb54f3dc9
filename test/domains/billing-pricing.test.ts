import fc from 'fast-check'
import t from 'tap'
import type { Price } from '../../src/domains/billing/pricing/price.ts'
import { priceFaults } from '../../src/domains/billing/pricing/price-faults.ts'
import { priceOf } from '../../src/domains/billing/pricing/price-of.ts'
import { prorate, secondsBetween } from '../../src/domains/billing/pricing/prorate.ts'
import { naiveAmount } from '../helpers/naive-price.ts'

fc.configureGlobal({ seed: 7 })

const quantity = fc.bigInt({ min: 0n, max: 10n ** 12n })
const smallQuantity = fc.bigInt({ min: 0n, max: 300n })
const minor = fc.bigInt({ min: 0n, max: 10n ** 6n }).map(String)
/** From nothing to 100 minor units, with up to twelve digits after the point. */
const unitAmount = fc
  .bigInt({ min: 0n, max: 10n ** 14n })
  .map((parts) => `${parts / 10n ** 12n}.${String(parts % 10n ** 12n).padStart(12, '0')}`)

const tiers = (flatAmount: fc.Arbitrary<string | undefined>) =>
  fc
    .array(fc.tuple(fc.bigInt({ min: 1n, max: 100n }), unitAmount, flatAmount), { minLength: 1, maxLength: 5 })
    .map((steps) => {
      let upTo = 0n
      return steps.map(([width, unitAmount, flatAmount], index) => {
        upTo += width
        const last = index === steps.length - 1
        return { upTo: last ? null : String(upTo), unitAmount, ...(flatAmount && { flatAmount }) }
      })
    })

const fee = fc.option(minor, { nil: undefined })
const common = { included: fc.option(smallQuantity.map(String), { nil: undefined }), minimum: fee }
const MODELS = {
  flat: fc.record({ model: fc.constant('flat' as const), amount: minor, ...common }),
  perUnit: fc.record({ model: fc.constant('perUnit' as const), unitAmount, ...common }),
  graduated: fc.record({ model: fc.constant('graduated' as const), tiers: tiers(fee), ...common }),
  volume: fc.record({ model: fc.constant('volume' as const), tiers: tiers(fee), ...common }),
  package: fc.record({
    model: fc.constant('package' as const),
    packageSize: fc.bigInt({ min: 1n, max: 100n }).map(String),
    packageAmount: minor,
    ...common,
  }),
}
const withoutNil = (price: object) => JSON.parse(JSON.stringify(price)) as Price
const anyPrice = fc.oneof(...Object.values(MODELS)).map(withoutNil)
const sum = (values: bigint[]) => values.reduce((one, other) => one + other, 0n)

t.test('every price agrees with an implementation that walks through the units one by one', async () => {
  fc.assert(
    fc.property(anyPrice, smallQuantity, (price, quantity) => {
      return priceOf(price, quantity).amount === naiveAmount(price, quantity)
    }),
    { numRuns: 500 },
  )
})

t.test('tiers sum to the amount and their quantities to the quantity, end to end', async () => {
  fc.assert(
    fc.property(anyPrice, quantity, (price, quantity) => {
      const { amount, tiers, topUp } = priceOf(price, quantity)
      const follow = tiers.every(({ from }, index) => from === (tiers[index - 1]?.to ?? 0n))
      return (
        sum(tiers.map((tier) => tier.amount)) + topUp === amount &&
        sum(tiers.map((tier) => tier.quantity)) === quantity &&
        follow &&
        tiers.every((tier) => tier.quantity === tier.to - tier.from && tier.amount >= 0n)
      )
    }),
    { numRuns: 500 },
  )
})

t.test('more never costs less, but for the volume model, whose purpose that is', async (t) => {
  const { volume: _volume, ...others } = MODELS
  fc.assert(
    fc.property(
      fc.oneof(...Object.values(others)).map(withoutNil),
      smallQuantity,
      smallQuantity,
      (price, one, more) => {
        return priceOf(price, one).amount <= priceOf(price, one + more).amount
      },
    ),
    { numRuns: 500 },
  )
  const volume: Price = {
    model: 'volume',
    tiers: [
      { upTo: '10', unitAmount: '5' },
      { upTo: null, unitAmount: '1' },
    ],
  }
  t.same([priceOf(volume, 10n).amount, priceOf(volume, 11n).amount], [50n, 11n])
})

t.test('a graduated price has no jump where tiers meet: one unit more costs what its own tier says', async () => {
  const price = fc.record({ model: fc.constant('graduated' as const), tiers: tiers(fc.constant(undefined)) })
  fc.assert(
    fc.property(price, smallQuantity, (price, quantity) => {
      const step = priceOf(price, quantity + 1n).amount - priceOf(price, quantity).amount
      const tier = price.tiers.find(({ upTo }) => upTo === null || quantity + 1n <= BigInt(upTo))
      const whole = BigInt(tier?.unitAmount.split('.')[0] ?? 0)
      return step >= whole && step <= whole + 1n
    }),
  )
})

t.test('a graduated price costs no less than volume where later tiers are cheaper', async () => {
  fc.assert(
    fc.property(tiers(fc.constant(undefined)), smallQuantity, (tiers, quantity) => {
      const falling = tiers
        .map(({ unitAmount }) => unitAmount)
        .toSorted((one, other) => Number(other) - Number(one))
        .map((unitAmount, index) => ({ upTo: tiers[index]?.upTo ?? null, unitAmount }))
      const [graduated, volume] = (['graduated', 'volume'] as const).map((model) =>
        priceOf({ model, tiers: falling }, quantity),
      )
      return (graduated?.amount ?? 0n) >= (volume?.amount ?? 0n)
    }),
  )
})

t.test('what is included costs nothing and the minimum is always billed', async (t) => {
  const price: Price = { model: 'perUnit', unitAmount: '0.5', included: '100', minimum: '10' }
  t.same(priceOf(price, 100n), {
    amount: 10n,
    topUp: 10n,
    tiers: [{ from: 0n, to: 100n, quantity: 100n, unitAmount: '0', per: 1n, flatAmount: 0n, amount: 0n }],
  })
  t.match(priceOf(price, 121n), { amount: 11n, topUp: 0n, tiers: [{}, { from: 100n, to: 121n, amount: 11n }] })
  t.equal(priceOf({ model: 'flat', amount: '700' }, 0n).amount, 700n)
  t.throws(() => priceOf(price, -1n), RangeError)
})

t.test('a package that is begun is billed whole', async (t) => {
  const price: Price = { model: 'package', packageSize: '1000', packageAmount: '250', included: '1' }
  const amounts = [0n, 1n, 2n, 1001n, 1002n].map((quantity) => priceOf(price, quantity).amount)
  t.same(amounts, [0n, 0n, 250n, 250n, 500n])
})

t.test('a price of a fraction of a cent is exact where floats are not', async (t) => {
  const price: Price = { model: 'perUnit', unitAmount: '0.000000000001' }
  t.equal(priceOf(price, 10n ** 18n + 1n).amount, 10n ** 6n)
  t.equal(priceOf({ model: 'perUnit', unitAmount: '1' }, 2n ** 53n + 1n).amount, 2n ** 53n + 1n)
})

t.test('tiers with a gap, an overlap or an end are refused by their place', async (t) => {
  const faultsOf = (...upTo: (string | null)[]) =>
    priceFaults({ model: 'graduated', tiers: upTo.map((upTo) => ({ upTo, unitAmount: '1' })) }, '/price').map(
      ({ path }) => path,
    )
  t.same(faultsOf('10', '20', null), [])
  t.same(faultsOf('10', '10', null), ['/price/tiers/1/upTo'])
  t.same(faultsOf('10', '20'), ['/price/tiers/1/upTo'])
  t.same(faultsOf(null, null), ['/price/tiers/0/upTo'])
  t.same(priceFaults({ model: 'perUnit', unitAmount: '1' }, '/price'), [])
})

t.test('the parts of a period sum to its whole, however it is split', async (t) => {
  const money = fc.bigInt({ min: -(10n ** 12n), max: 10n ** 12n })
  const period = fc.bigInt({ min: 1n, max: 31_622_400n })
  const cuts = fc.array(fc.bigInt({ min: 0n, max: 31_622_400n }), { maxLength: 8 })
  fc.assert(
    fc.property(money, period, cuts, (amount, period, cuts) => {
      const bounds = [0n, ...cuts.map((cut) => cut % (period + 1n)).toSorted((a, b) => (a < b ? -1 : 1)), period]
      const parts = bounds.slice(1).map((to, index) => ({ from: bounds[index] ?? 0n, to, period }))
      const isNear = parts.every((part) => {
        const off = prorate(amount, part) * period - amount * (part.to - part.from)
        return off < period && off > -period
      })
      return isNear && sum(parts.map((part) => prorate(amount, part))) === amount
    }),
  )
  t.equal(prorate(4900n, { from: 0n, to: 15n * 86_400n, period: 30n * 86_400n }), 2450n)
  t.equal(secondsBetween(new Date('2026-02-01T00:00:00Z'), new Date('2026-03-01T00:00:00.999Z')), 28n * 86_400n)
  for (const [from, to] of [
    [-1n, 1n],
    [2n, 1n],
    [0n, 11n],
  ] as const)
    t.throws(() => prorate(1n, { from, to, period: 10n }), RangeError)
})
