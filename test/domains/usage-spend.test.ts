import { sql } from 'drizzle-orm'
import t from 'tap'
import { newId } from '../../src/ids.ts'
import { HOUR_MS } from '../helpers/billing-world.ts'
import { PRICE } from '../helpers/invoice-input.ts'
import { naiveAmount } from '../helpers/naive-price.ts'
import { flatPlan } from '../helpers/plans.ts'
import type { TestTenant } from '../helpers/tenants.ts'
import { startUsageWorld } from '../helpers/usage-world.ts'

const world = await startUsageWorld(t, '2026-01-01T00:00:00Z')
const { postgres, catalog, invoices, summary, spend, parts, setHour } = world
const terms = { ...flatPlan, name: 'Metered', basePrice: '4900', metered: [{ meter: 'events', price: PRICE }] }
await catalog.createPlanVersion({ planKey: 'metered', baseVersion: 0, terms }, newId('usr'))
const [alpha, beta] = [await world.tenant('metered'), await world.tenant('metered')]
const second = { ...alpha, projectId: newId('prj') }
await postgres.withTenant(alpha.organizationId, (tx) =>
  tx.execute(
    sql`insert into projects (organization_id, id, name) values (${alpha.organizationId}, ${second.projectId}, 'Second')`,
  ),
)

/** Sends events at the begin of an hour, stored and counted. */
async function use(tenant: TestTenant, count: number, hour: string) {
  await world.send(tenant, count, { at: hour })
  await setHour(tenant, hour, count)
}
const sum = (amounts: { amount: string }[]) => amounts.reduce((all, { amount }) => all + BigInt(amount), 0n)

t.test('the summary says what was used of what is included, what it costs, and where both lead', async (t) => {
  await invoices.invoiceDue()
  await use(alpha, 60, '2026-01-03T00:00:00Z')
  await use(second, 20, '2026-01-04T00:00:00Z')
  await world.to('2026-01-05T00:00:00Z')
  const answer = await summary.read(alpha.organizationId)
  t.hasStrict(answer, {
    asOf: '2026-01-05T00:00:00.000Z',
    period: {
      startsAt: '2026-01-01T00:00:00.000Z',
      endsAt: '2026-02-01T00:00:00.000Z',
      planKey: 'metered',
      limitMode: 'soft',
    },
    meters: [
      {
        meter: 'events',
        used: '80',
        whole: { kind: 'included', quantity: '100' },
        percent: '80.00',
        forecast: { expected: '620', low: '80', method: 'linear' },
        reachesAt: '2026-01-06T00:00:00.000Z',
      },
    ],
    spend: { currency: 'USD', soFar: '0', forecast: naiveAmount(PRICE, 620n).toString() },
  })
  const {
    meters: [none],
    spend: nothing,
  } = await summary.read(beta.organizationId)
  t.hasStrict(none, { used: '0', percent: '0.00', forecast: { expected: '0' }, reachesAt: null })
  t.hasStrict(nothing, { soFar: '0', forecast: '0' })
})

t.test('what usage costs is split among projects and events to the last unit', async (t) => {
  await use(alpha, 700, '2026-01-10T00:00:00Z')
  await use(second, 533, '2026-01-11T00:00:00Z')
  await world.to('2026-01-12T00:00:00Z')
  const amount = naiveAmount(PRICE, 1313n)
  for (const by of ['project', 'event'] as const) {
    const answer = await parts.read(alpha.organizationId, { by })
    t.equal(answer.total, amount.toString())
    t.equal(sum(answer.data), amount)
  }
  const { data } = await parts.read(alpha.organizationId, { by: 'project' })
  t.same(Object.fromEntries(data.map(({ key, value }) => [key, value])), {
    [alpha.projectId]: '760',
    [second.projectId]: '553',
  })
  for (const { value, amount: share } of data) {
    const off = BigInt(share) * 1313n - amount * BigInt(value)
    t.ok(off < 1313n && off > -1313n, 'a share is less than a unit from its exact one')
  }
  const csv = await parts.csv(alpha.organizationId, { by: 'event' })
  t.same(csv.split('\r\n'), ['event,meter,value,events,amount', `Called,events,1313,1313,${amount}`, ''])
  t.same((await parts.read(beta.organizationId, { by: 'project' })).data, [])
})

t.test('while the last period waits for its invoice, the open one is summarized without it', async (t) => {
  await world.to('2026-02-01T05:00:00Z')
  await use(alpha, 150, '2026-02-01T03:00:00Z')
  const {
    period,
    meters: [events],
    spend: now,
  } = await summary.read(alpha.organizationId)
  t.equal(period.startsAt, '2026-02-01T00:00:00.000Z')
  t.equal(events?.used, '150')
  t.equal(now.soFar, naiveAmount(PRICE, 150n).toString())
  const [open, ended] = await spend.periods(alpha.organizationId, 2)
  t.match(open, { status: 'open', isEstimate: true, usage: now.soFar })
  t.match(ended, { status: 'ended', isEstimate: true, usage: naiveAmount(PRICE, 1313n).toString() })
  t.same(
    await parts.read(alpha.organizationId, { by: 'event' }),
    await parts.read(alpha.organizationId, { by: 'event', periodId: period.id }),
  )
})

t.test('what is billed is in the history as it is billed, and its parts sum to it whatever comes later', async (t) => {
  await world.to(new Date(Date.parse('2026-02-02T00:00:00Z') + HOUR_MS))
  await invoices.invoiceDue()
  const issued = (await invoices.list(alpha.organizationId, { limit: 50 })).data
  t.equal(issued.length, 2)
  const [open, billed] = await spend.periods(alpha.organizationId, 12)
  const total = issued.reduce((all, { total }) => all + total, 0n)
  t.hasStrict(billed, {
    status: 'invoiced',
    isEstimate: false,
    charges: '9800',
    usage: naiveAmount(PRICE, 1313n).toString(),
    adjustments: '0',
    total: total.toString(),
    credited: '0',
    invoices: issued.toReversed().map(({ id, number }) => ({ id, number })),
  })
  t.hasStrict(open, { status: 'open', charges: '0', invoices: [] })
  await world.send(alpha, 40, { at: '2026-01-20T00:00:00Z', receivedAt: '2026-02-10T00:00:00Z' })
  const { data, total: whole } = await parts.read(alpha.organizationId, { by: 'project', periodId: billed?.periodId })
  t.equal(whole, naiveAmount(PRICE, 1313n).toString())
  t.equal(sum(data), naiveAmount(PRICE, 1313n))
  const lines = (await spend.csv(alpha.organizationId, 12)).split('\r\n')
  t.equal(lines.length, 4)
  t.match(lines[2], new RegExp(`^${billed?.periodId},2026-01-01T.*,metered,invoiced,USD,9800,${billed?.usage},0,`))
  for (const one of await spend.periods(beta.organizationId, 12)) t.equal(one.usage, '0')
})

t.test('a period of another organization is no period', async (t) => {
  const [period] = await spend.periods(alpha.organizationId, 1)
  await t.rejects(parts.read(beta.organizationId, { by: 'project', periodId: period?.periodId }), {
    code: 'billing.period_not_found',
  })
})
