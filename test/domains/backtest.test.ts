import t from 'tap'
import { toFleetResult } from '../../src/domains/billing/backtest/summary.ts'
import { createBacktestService } from '../../src/domains/billing/index.ts'
import { closeNow } from '../../src/domains/billing/subscriptions/decisions.ts'
import { newId } from '../../src/ids.ts'
import { startBillingWorld } from '../helpers/billing-world.ts'
import { flatPlan } from '../helpers/plans.ts'

const world = await startBillingWorld(t, '2026-01-31T00:00:00Z')
const { invoices, postgres, catalog, meters } = world
const backtests = createBacktestService({ postgres, meters, plans: catalog })
const perEvent = (unitAmount: string, included: string, meter = 'events') => [
  { meter, price: { model: 'perUnit' as const, unitAmount, included } },
]
const real = { ...flatPlan, name: 'Real', basePrice: '1000', metered: perEvent('2', '100') }
for (const [planKey, terms] of Object.entries({ real, flat: flatPlan }))
  await catalog.createPlanVersion({ planKey, baseVersion: 0, terms }, newId('usr'))
const [alpha, beta] = [await world.tenant('real'), await world.tenant('flat')]

// Two periods of a subscription that began on a 31st: 150 events, then 35 in time and 5 after the cut-off.
await world.send(alpha, 150, { at: '2026-02-10T12:00:00Z' })
await world.send(alpha, 25, { at: '2026-03-10T12:00:00Z' })
await world.send(alpha, 10, { at: '2026-03-30T12:00:00Z', receivedAt: '2026-03-31T20:00:00Z' })
await world.send(alpha, 5, { at: '2026-03-30T12:00:00Z', receivedAt: '2026-04-10T20:00:00Z' })
await world.send(beta, 3, { at: '2026-02-10T12:00:00Z' })
for (const time of ['2026-02-28T00:00:00Z', '2026-03-01T00:06:00Z', '2026-03-31T00:00:00Z', '2026-04-01T00:06:00Z']) {
  await world.to(time)
  await invoices.invoiceDue()
}
const draft = { ...flatPlan, name: 'Draft', basePrice: '300', metered: perEvent('3.5', '20') }

t.test('each past period is priced on the draft to the cent, beside what was really billed', async (t) => {
  const { periods, skipped } = await backtests.ofOrganization(alpha.organizationId, draft, 12)
  t.same(skipped, [])
  t.match(
    periods.map(({ billed, draft: drafted, planKey }) => ({ billed, drafted, planKey })),
    [
      // 1000 + 50 × 2; 300 + 130 × 3.5.
      { billed: 1100n, drafted: 755n, planKey: 'real' },
      // 35 are included; 300 + 15 × 3.5, a half away from zero. What came after the cut-off is on neither side.
      { billed: 1000n, drafted: 353n, planKey: 'real' },
    ],
  )
  t.hasStrict(periods[1]?.lines, [
    { kind: 'base', amount: '300' },
    { kind: 'usage', quantity: '35', amount: '53' },
  ])
})

t.test('the plan that was in force comes to exactly what was billed', async (t) => {
  const [own, flat] = [
    await backtests.ofOrganization(alpha.organizationId, real, 12),
    await backtests.ofOrganization(beta.organizationId, flatPlan, 12),
  ]
  for (const { periods } of [own, flat]) {
    t.equal(periods.length, 2)
    for (const { billed, draft: drafted } of periods) t.equal(drafted, billed)
  }
})

t.test('as many periods are priced as are asked for, the last ones', async (t) => {
  const { periods } = await backtests.ofOrganization(alpha.organizationId, draft, 1)
  t.match(periods, [{ startsAt: new Date('2026-02-28T00:00:00Z'), endsAt: new Date('2026-03-31T00:00:00Z') }])
})

t.test('what cannot be compared is named and not guessed', async (t) => {
  const reasonsOf = async (terms: typeof draft) =>
    (await backtests.ofOrganization(alpha.organizationId, terms, 12)).skipped.map(({ reason }) => reason)
  t.same(await reasonsOf({ ...draft, interval: 'year' }), ['interval', 'interval'])
  t.same(await reasonsOf({ ...draft, currency: 'EUR' }), ['currency', 'currency'])
  t.same(await reasonsOf({ ...draft, metered: perEvent('1', '0', 'seats') }), ['meter', 'meter'])
  await t.rejects(reasonsOf({ ...draft, currency: 'XXA' }), { code: 'billing.plan_invalid' })
})

t.test('a period that ended early has the share of its seconds of the base price', async (t) => {
  const { organizationId } = await world.tenant('real')
  await world.to('2026-04-16T00:06:00Z')
  await world.subscriptions.act(organizationId, { by: 'system', change: closeNow })
  await world.to('2026-04-17T00:12:00Z')
  await invoices.invoiceDue()
  const { periods } = await backtests.ofOrganization(organizationId, draft, 12)
  // 15 days of 30; what was really billed was not given back.
  t.match(periods, [{ billed: 1000n, draft: 150n }])
})

t.test('the fleet is the sum of its organizations, with those that would gain and lose the most', async (t) => {
  const onReal = await toFleetResult(backtests.ofAll(draft, { periods: 12, planKey: 'real' }), draft)
  t.hasStrict(onReal, { organizations: 2, periods: 3, billed: '3100', draft: '1258', difference: '-1842', winners: 2 })
  t.hasStrict(onReal.largest, [
    { organizationId: alpha.organizationId, difference: '-992' },
    { billed: '1000', draft: '150', difference: '-850' },
  ])
  const all = await toFleetResult(backtests.ofAll(draft, { periods: 12 }), draft)
  // 2 × 10001 on the flat plan, and 300 twice on the draft.
  t.hasStrict(all, { organizations: 3, periods: 5, billed: '23102', draft: '1858', losers: 0, unchanged: 0 })
  t.hasStrict(all.largest[0], { organizationId: beta.organizationId, difference: '-19402' })
  const same = await toFleetResult(backtests.ofAll({ ...draft, interval: 'year' }, { periods: 12 }), draft)
  t.hasStrict(same, { organizations: 0, skippedPeriods: { interval: 5 }, difference: '0', largest: [] })
})
