import fc from 'fast-check'
import t from 'tap'
import { allocate } from '../../src/domains/billing/money/allocate.ts'
import { formatDecimal, parseDecimal, roundDecimal } from '../../src/domains/billing/money/decimal.ts'
import { addMoney, formatMoney, minorDigits } from '../../src/domains/billing/money/money.ts'
import { divideDown, divideRounded, divideUp } from '../../src/domains/billing/money/rounding.ts'
import { floatFaults } from '../helpers/float-arithmetic.ts'
import { readTree } from '../helpers/imports.ts'

fc.configureGlobal({ seed: 7 })

const amount = fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n })
const divisor = fc.bigInt({ min: 1n, max: 10n ** 6n })
const sum = (values: bigint[]) => values.reduce((one, other) => one + other, 0n)
const sizeOf = (value: bigint) => (value < 0n ? -value : value)

t.test('no amount is ever a float: the sources of money and prices hold none', async (t) => {
  const sources = [...readTree(new URL('../../', import.meta.url), 'src')].filter(([path]) =>
    /^src\/domains\/billing\/(money|pricing)\//.test(path),
  )
  t.ok(sources.length >= 9, 'the sources were found')
  t.same(
    sources.flatMap(([path, text]) => floatFaults(path, text)),
    [],
  )
})

t.test('each way to a float is noticed', async (t) => {
  const path = 'src/domains/billing/pricing/any.ts'
  for (const source of [
    'const fee: number = 1',
    'const fees = new Map<string, number>()',
    'parseFloat(text)',
    'Number(text)',
    'Number.parseInt(text)',
    'parseInt(text)',
    'amount.toFixed(2)',
    'Math.round(amount)',
    'const rate = 0.2',
    'const rate = 2e3',
    'amount / 100n',
    'const cents = +text',
  ])
    t.not(floatFaults(path, source).length, 0, source)
  t.same(floatFaults(path, "// a / b, 0.5 and number\nconst text = '0.5 / 2'\nimport a from '../a.ts'"), [])
})

t.test('a half is rounded away from zero, and everything else to the nearest', async (t) => {
  const cases = [
    [5n, 2n, 3n],
    [-5n, 2n, -3n],
    [7n, 3n, 2n],
    [8n, 3n, 3n],
    [-7n, 3n, -2n],
    [0n, 9n, 0n],
  ] as const
  for (const [dividend, by, expected] of cases) t.equal(divideRounded(dividend, by), expected, `${dividend} / ${by}`)
  fc.assert(
    fc.property(amount, divisor, (dividend, by) => {
      const rounded = divideRounded(dividend, by)
      const twiceOff = 2n * sizeOf(rounded * by - dividend)
      const isNearest = twiceOff < by || (twiceOff === by && sizeOf(rounded * by) > sizeOf(dividend))
      return isNearest && divideRounded(-dividend, by) === -rounded
    }),
  )
  t.throws(() => divideRounded(1n, 0n), RangeError)
})

t.test('rounding down and up goes to the whole numbers on both sides, below zero too', async () => {
  fc.assert(
    fc.property(amount, divisor, (dividend, by) => {
      const [down, up] = [divideDown(dividend, by), divideUp(dividend, by)]
      const isExact = dividend % by === 0n
      return down * by <= dividend && up * by >= dividend && up - down === (isExact ? 0n : 1n)
    }),
  )
})

t.test('a decimal of twelve digits is read and written exactly', async (t) => {
  fc.assert(fc.property(amount, (parts) => parseDecimal(formatDecimal(parts)) === parts))
  t.equal(parseDecimal('0.000000000001'), 1n)
  t.equal(formatDecimal(parseDecimal('12.340')), '12.34')
  t.equal(formatDecimal(parseDecimal('-0.5')), '-0.5')
  t.equal(roundDecimal(parseDecimal('0.5')), 1n)
  for (const text of ['', '.5', '1.', '1e3', '+1', '0.0000000000001', ' 1', 'NaN', '1,5'])
    t.throws(() => parseDecimal(text), RangeError, text)
})

t.test('the parts of an allocation sum to the total, each less than a unit from its exact share', async (t) => {
  const weights = fc.array(fc.bigInt({ min: 0n, max: 10n ** 9n }), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(amount, weights, (total, weights) => {
      const whole = sum(weights)
      fc.pre(whole > 0n)
      const parts = allocate(total, weights)
      const isNear = parts.every((part, index) => sizeOf(part * whole - total * (weights[index] ?? 0n)) < whole)
      const isMirrored = allocate(-total, weights).every((part, index) => part === -(parts[index] ?? 0n))
      return sum(parts) === total && isNear && isMirrored
    }),
  )
  t.same(allocate(100n, [1n, 1n, 1n]), [34n, 33n, 33n])
  t.same(allocate(10n, [3n, -1n]), [15n, -5n], 'a credit gets its share with the sign turned')
  t.same(allocate(2n, [0n, 5n, 0n]), [0n, 2n, 0n], 'what has no weight gets nothing')
  t.same(allocate(0n, [0n, 0n]), [0n, 0n])
  t.throws(() => allocate(1n, [1n, -1n]), RangeError)
})

t.test('a currency has the minor digits that ISO 4217 gives it', async (t) => {
  const digits = { USD: 2, EUR: 2, JPY: 0, KWD: 3, BHD: 3, HUF: 2, COP: 2, KRW: 0, XOF: 0 }
  for (const [currency, expected] of Object.entries(digits)) t.equal(minorDigits(currency), expected, currency)
  for (const code of ['usd', 'XX', 'ABC', '']) t.throws(() => minorDigits(code), RangeError, code)
  t.equal(formatMoney({ amount: -123450n, currency: 'USD' }), '-1234.50 USD')
  t.equal(formatMoney({ amount: 5n, currency: 'KWD' }), '0.005 KWD')
  t.equal(formatMoney({ amount: 500n, currency: 'JPY' }), '500 JPY')
  t.same(addMoney({ amount: 1n, currency: 'USD' }, { amount: 2n, currency: 'USD' }), { amount: 3n, currency: 'USD' })
  t.throws(() => addMoney({ amount: 1n, currency: 'USD' }, { amount: 1n, currency: 'EUR' }), RangeError)
})
