import t from 'tap'
import { buildApp } from '../../src/app.ts'
import { newId } from '../../src/ids.ts'
import { authorized, eventually } from '../helpers/app.ts'
import { DAY_MS, startBillingWorld } from '../helpers/billing-world.ts'
import { PRICE } from '../helpers/invoice-input.ts'
import { naiveAmount } from '../helpers/naive-price.ts'
import { flatPlan } from '../helpers/plans.ts'
import { keptApart, quarantine, quarantineUrl, storedEvents } from '../helpers/quarantine.ts'

// The door has no clock but its own, so the first period ended two weeks ago and the second goes on.
const dayFromNow = (days: number) => new Date(Date.now() + days * DAY_MS)
const world = await startBillingWorld(t, dayFromNow(-45).toISOString(), { METERHOUSE_ROLES: 'api,sink' })
const { invoices, catalog, config } = world
const app = await buildApp(config, false)
await app.ready()
t.teardown(() => app.close())

t.test('what is replayed after a cut-off is on the next invoice, and the closed one stays as it is', async (t) => {
  const terms = { ...flatPlan, name: 'Metered', basePrice: '4900', metered: [{ meter: 'events', price: PRICE }] }
  await catalog.createPlanVersion({ planKey: 'metered', baseVersion: 0, terms }, newId('usr'))
  const [alpha, beta] = [await world.tenant('metered'), await world.tenant('metered')]
  const last = async ({ organizationId }: { organizationId: string }) => {
    const { data } = await invoices.list(organizationId, { limit: 50 })
    const rows = await Promise.all(data.map(({ id }) => invoices.read(organizationId, id)))
    const ofPeriods = rows
      .filter(({ row }) => row.reason === 'period')
      .toSorted((a, b) => +a.row.cutOff - +b.row.cutOff)
    const [found] = ofPeriods.slice(-1)
    if (!found) throw new Error('there is no invoice of a period')
    return found
  }
  const receivedAtMs = dayFromNow(-40).getTime()
  const kept = [
    keptApart({ event: 'Called', messageId: 'broke-a-rule' }, { receivedAtMs }),
    keptApart({ event: 'Called', messageId: 'was-refused' }, { receivedAtMs, reason: 'store.refused: X (1)' }),
  ]
  for (const tenant of [alpha, beta]) {
    await world.send(tenant, 1500, { at: new Date(receivedAtMs).toISOString() })
    await quarantine(app, config, tenant, kept)
  }
  await world.to(dayFromNow(-1))
  await invoices.invoiceDue()
  const closed = await last(alpha)
  t.hasStrict(closed.document.lines, [{ kind: 'base' }, { kind: 'usage', quantity: '1500' }])

  const payload = { filter: {} }
  const replay = authorized(alpha.apiKey, { method: 'POST', url: `${quarantineUrl(alpha)}/replay`, payload })
  t.match((await app.inject(replay)).json(), { replayed: 2 })
  await eventually('the events', async () => (await storedEvents(app, alpha)).length === 1502)
  t.same(await invoices.verify(alpha.organizationId, closed.row.id), { same: true, evidence: 'kept', differences: [] })

  await world.to(dayFromNow(25))
  await invoices.invoiceDue()
  const amount = naiveAmount(PRICE, 1502n) - naiveAmount(PRICE, 1500n)
  const { row, document } = await last(alpha)
  t.hasStrict(document.lines, [
    { kind: 'base' },
    { kind: 'usage', quantity: '0' },
    { kind: 'adjustment', quantity: '2', amount: amount.toString(), source: { invoiceId: closed.row.id } },
  ])
  t.equal((await last(beta)).document.lines.length, 2, 'whoever replays nothing is billed nothing')
  for (const { id } of [closed.row, row])
    t.same(await invoices.verify(alpha.organizationId, id), { same: true, evidence: 'kept', differences: [] })
})
