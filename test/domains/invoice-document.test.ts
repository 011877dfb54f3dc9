import { FormatRegistry } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import fc from 'fast-check'
import t from 'tap'
import { buildInvoice, type InvoiceInput, isEmpty } from '../../src/domains/billing/invoices/build.ts'
import { canonicalText } from '../../src/domains/billing/invoices/canonical.ts'
import { periodInput } from '../../src/domains/billing/invoices/compose.ts'
import { InvoiceDocument } from '../../src/domains/billing/invoices/document.ts'
import { readTree } from '../helpers/imports.ts'
import { anInput, charge, late, measured, PRICE, period, usage } from '../helpers/invoice-input.ts'
import { moneyTypeFaults } from '../helpers/money-types.ts'
import { naiveAmount } from '../helpers/naive-price.ts'

fc.configureGlobal({ seed: 11 })
FormatRegistry.Set('date-time', (text) => new Date(text).toISOString() === text)

const COLUMNS = ['amount', 'discount', 'net', 'tax', 'total'] as const
const sum = (values: string[]) => values.reduce((one, other) => one + BigInt(other), 0n)

const inputs: fc.Arbitrary<InvoiceInput> = fc
  .record({
    charges: fc.array(fc.bigInt({ min: -(10n ** 7n), max: 10n ** 7n }), { maxLength: 6 }),
    quantities: fc.array(fc.bigInt({ min: 0n, max: 10n ** 5n }), { maxLength: 3 }),
    lates: fc.array(fc.tuple(fc.bigInt({ min: 0n, max: 10n ** 4n }), fc.bigInt({ min: 0n, max: 500n })), {
      maxLength: 3,
    }),
    basisPoints: fc.bigInt({ min: 0n, max: 10_000n }),
    taxBasisPoints: fc.bigInt({ min: 0n, max: 3000n }),
    credit: fc.bigInt({ min: 0n, max: 10n ** 7n }),
  })
  .map(({ charges, quantities, lates, basisPoints, taxBasisPoints, credit }) =>
    anInput({
      charges: charges.map((amount) => charge({ amount })),
      usages: quantities.map((quantity) => usage(quantity)),
      late: lates.map(([before, more]) => late(before, before + more)),
      coupons: [
        {
          id: 'cpn_1',
          code: 'LESS',
          coupon: { kind: 'percent', basisPoints, duration: { kind: 'forever' } },
          period: 0n,
        },
      ],
      taxBasisPoints,
      credit,
    }),
  )

t.test('the lines of every invoice sum to its totals, and what is due is the total without credit', async (t) => {
  fc.assert(
    fc.property(inputs, (input) => {
      const document = buildInvoice(input)
      for (const column of COLUMNS)
        t.equal(sum(document.lines.map((line) => line[column])).toString(), document[column], column)
      for (const line of [...document.lines, document]) {
        t.equal(BigInt(line.net), BigInt(line.amount) - BigInt(line.discount))
        t.equal(BigInt(line.total), BigInt(line.net) + BigInt(line.tax))
      }
      for (const { tiers, topUp, amount, kind } of document.lines)
        if (kind === 'usage') t.equal(sum(tiers.map((tier) => tier.amount)) + BigInt(topUp), BigInt(amount))
      t.equal(BigInt(document.amountDue), BigInt(document.total) - BigInt(document.creditApplied))
      t.ok(BigInt(document.amountDue) >= 0n && BigInt(document.creditApplied) <= input.credit)
      t.equal(sum(document.coupons.map(({ discount }) => discount)).toString(), document.discount)
      t.ok(Value.Check(InvoiceDocument, document))
    }),
    { numRuns: 200 },
  )
})

t.test('usage costs what counting it unit by unit costs, and late usage the difference', async () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 3000n }), fc.bigInt({ min: 0n, max: 3000n }), (before, more) => {
      const { lines } = buildInvoice(anInput({ usages: [usage(before)], late: [late(before, before + more)] }))
      const [first, second] = lines.map(({ amount }) => BigInt(amount))
      return (
        first === naiveAmount(PRICE, before) &&
        second === naiveAmount(PRICE, before + more) - naiveAmount(PRICE, before)
      )
    }),
    { numRuns: 100 },
  )
})

t.test('the same input gives the same bytes, whatever the order of its names', async (t) => {
  const input = anInput({ usages: [usage(1500n)], charges: [charge({ amount: 4900n })], late: [late(10n, 12n)] })
  const text = canonicalText(buildInvoice(input))
  const turned = Object.fromEntries(Object.entries(input).reverse()) as unknown as InvoiceInput
  t.equal(canonicalText(buildInvoice(turned)), text)
  t.equal(canonicalText(JSON.parse(text)), text, 'read and written again')
  t.equal(canonicalText({ b: 1, a: [{ d: null, c: 'é"' }] }), '{"a":[{"c":"é\\"","d":null}],"b":1}')
  t.throws(() => canonicalText(0.1), RangeError)
})

t.test('a preview is the invoice without what its issue adds', async (t) => {
  const input = anInput({ usages: [usage(1500n)], charges: [charge({ amount: 4900n })], credit: 100n })
  const issue = { number: 'INV-000001', issuedAt: new Date('2026-02-02'), dueAt: new Date('2026-03-04') }
  const final = buildInvoice({ ...input, issue })
  t.match(final, { number: 'INV-000001', issuedAt: '2026-02-02T00:00:00.000Z', dueAt: '2026-03-04T00:00:00.000Z' })
  t.same({ ...final, number: null, issuedAt: null, dueAt: null }, buildInvoice(input))
})

t.test('an adjustment names the period, the invoice, both counts and the range in which its events came', async (t) => {
  const [line] = buildInvoice(anInput({ late: [late(1000n, 1010n)] })).lines
  t.hasStrict(line, {
    kind: 'adjustment',
    quantity: '10',
    rowCount: '10',
    from: '2025-12-01T00:00:00.000Z',
    to: '2026-01-01T00:00:00.000Z',
    source: {
      periodNumber: 1,
      invoiceId: 'inv_1',
      invoiceNumber: 'INV-000007',
      receivedAfter: '2026-01-02T00:00:00.000Z',
      receivedThrough: '2026-02-02T00:00:00.000Z',
      before: { quantity: '1000', rowCount: '1000' },
      after: { quantity: '1010', rowCount: '1010' },
    },
  })
})

t.test(
  'use during a trial costs nothing and is still counted; late events of a trial cost nothing either',
  async (t) => {
    const trial = { ...period(2), isTrial: true }
    const document = buildInvoice(anInput({ period: trial, usages: [usage(5000n)], late: [late(5n, 900n, trial)] }))
    t.hasStrict(document.lines, [
      { amount: '0', quantity: '5000', tiers: [] },
      { amount: '0', quantity: '895' },
    ])
    t.ok(isEmpty(document))
    t.notOk(isEmpty(buildInvoice(anInput({ charges: [charge({ amount: -1n })] }))))
  },
)

t.test('an invoice below nothing is to be paid with nothing and gives credit', async (t) => {
  const document = buildInvoice(anInput({ charges: [charge({ amount: -5000n })], taxBasisPoints: 1900n, credit: 300n }))
  t.hasStrict(document, { total: '-5950', creditApplied: '-5950', amountDue: '0' })
  const used = buildInvoice(anInput({ charges: [charge({ amount: 100n })], credit: 300n }))
  t.hasStrict(used, { total: '100', creditApplied: '100', amountDue: '0' })
})

t.test('nothing is late for a first period', async (t) => {
  t.throws(() => buildInvoice(anInput({ previousCutOff: null, late: [late(1n, 2n)] })), { message: /first period/ })
  t.equal(measured(3n).quantity, 3n)
})

t.test('no amount and no quantity of billing is a number, and nothing there is a float', async (t) => {
  const sources = [...readTree(new URL('../../', import.meta.url), 'src')].filter(([path]) =>
    /^src\/domains\/billing\/.*\.ts$/.test(path),
  )
  t.ok(sources.length > 50, 'the sources were found')
  t.same(
    sources.flatMap(([path, text]) => moneyTypeFaults(path, text)),
    [],
  )
  for (const source of [
    'amount: number',
    'amountDue?: number',
    'interface A { readonly total: number }',
    'total: Type.Number()',
    'tax: orNull(Type.Integer())',
    "amount: bigint({ mode: 'number' })",
    'Number(row.amount)',
    'Number.parseFloat(text)',
    'value.toFixed(2)',
    'const rate = 0.19',
  ])
    t.equal(moneyTypeFaults('a.ts', source).length, 1, source)
})

t.test('what comes late for a plan that was left is billed in what the organization is billed in', async (t) => {
  const { seller, buyer } = anInput({})
  const facts = { buyer, taxBasisPoints: 0n, charges: [], coupons: [], credit: 0n, collectedBy: null }
  const measurement = { cutOff: new Date('2026-02-02'), previousCutOff: new Date('2026-01-02') }
  const measurements = { period: period(2), usages: [], late: [late(10n, 200n)] }
  const given = { seller, subscriptionId: 'sub_1', measurements, measurement }
  const currencyOf = (currency: string | null) => periodInput({ ...given, facts: { ...facts, currency } }).currency
  t.equal(currencyOf('EUR'), 'EUR', 'not in that of the free plan')
  t.equal(currencyOf(null), 'USD')
})
