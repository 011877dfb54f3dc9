import { sql } from 'drizzle-orm'
import t from 'tap'
import { createReconciliationService } from '../../src/domains/billing/reconciliation/service.ts'
import { claimsOf, type Side } from '../../src/domains/billing/stripe/collecting/claims.ts'
import { append } from '../../src/infra/outbox.ts'
import { acting, startStripeClaims } from '../helpers/stripe-claims.ts'
import { randomOf, shuffled } from '../helpers/stripe-double.ts'
import type { Invoice } from '../helpers/stripe-state.ts'
import type { TestTenant } from '../helpers/tenants.ts'

const claims = await startStripeClaims(t, '2026-03-10T10:00:00Z')
const { state, world, faults, collect, tell, work, settle, lose, theirsOf } = claims
const { postgres, invoices } = world
const MINUTE_MS = 60_000
const MONTH_MS = 30 * 24 * 60 * MINUTE_MS

const later = (ms: number) => claims.to(new Date(world.now().getTime() + ms).toISOString())

interface Owing {
  tenant: TestTenant
  theirs: Invoice
}

/** Organizations that buy and whose next payment is declined: Stripe's invoices of that period are open. */
async function owing(count: number): Promise<Owing[]> {
  const bought = []
  for (let each = 0; each < count; each++) {
    const tenant = await world.tenant('free')
    bought.push({ tenant, ...(await claims.buy(tenant)) })
    await settle(tenant)
  }
  await later(MONTH_MS + 5 * MINUTE_MS)
  for (const { id } of bought) await claims.renew(id, { isDeclined: true })
  faults.length = 0
  return bought.map(({ tenant, customer }) => ({ tenant, theirs: theirsOf(customer)[1] as Invoice }))
}
/** The same, and ours are final. */
async function owed(count: number): Promise<Owing[]> {
  const all = await owing(count)
  await ourTurn(all)
  return all
}
async function ourTurn(all: Owing[]): Promise<void> {
  await later(75 * MINUTE_MS)
  for (const { tenant } of [...all, ...all]) await settle(tenant)
}

/** Our invoice of the period that is over. */
const oursOf = async (tenant: TestTenant) => (await claims.oursOf(tenant))[1]
const statusOf = async ({ tenant }: Owing) => (await oursOf(tenant))?.status
const rowsOf = async ({ tenant: { organizationId } }: Owing, query: ReturnType<typeof sql>) =>
  (await postgres.withTenant(organizationId, (tx) => tx.execute(query))).rows
const entriesOf = async (owing: Owing, action: string) => {
  const ours = await oursOf(owing.tenant)
  return rowsOf(
    owing,
    sql`select actor_kind, before, after from audit_entries where action = ${action} and target_id = ${ours?.id}`,
  )
}

t.test(
  'what Stripe voids is void here, and what it gives up is given up here: of that organization only',
  async (t) => {
    const [voided, givenUp, other] = (await owed(3)) as [Owing, Owing, Owing]
    for (const one of [voided, givenUp, other]) t.equal(await statusOf(one), 'open')
    state.voidInvoice(voided.theirs.id)
    state.giveUpInvoice(givenUp.theirs.id)
    for (const { tenant } of [voided, givenUp, other, voided, givenUp]) await settle(tenant)
    t.same(await Promise.all([voided, givenUp, other].map(statusOf)), ['void', 'uncollectible', 'open'])
    t.match(await oursOf(voided.tenant), { voidedAt: world.now(), total: BigInt(voided.theirs.total) })
    const found = await oursOf(voided.tenant)
    t.match(await invoices.verify(voided.tenant.organizationId, found?.id ?? ''), { same: true })

    for (const [owing, what] of [
      [voided, 'invoice.voided'],
      [givenUp, 'invoice.uncollectible'],
    ] as const) {
      const after = { provider: 'stripe', reference: owing.theirs.id }
      const entries = await entriesOf(owing, what)
      t.match(entries, [{ actor_kind: 'system', before: { status: 'open' }, after }])
      t.equal(entries.length, 1, 'however often it is looked at')
      const ours = await oursOf(owing.tenant)
      const facts = await rowsOf(owing, sql`select payload from outbox where kind = ${what}`)
      t.match(facts, [{ payload: { invoiceId: ours?.id, number: ours?.number, total: String(ours?.total), ...after } }])
      t.equal(facts.length, 1, 'others are told as of what a person does')
    }
    t.same(faults, [])
  },
)

t.test('what Stripe has given up is paid here when Stripe is paid after all, and void when it is voided', async (t) => {
  const [paid, voided] = (await owed(2)) as [Owing, Owing]
  for (const { theirs, tenant } of [paid, voided]) {
    state.giveUpInvoice(theirs.id)
    await settle(tenant)
  }
  t.same(await Promise.all([paid, voided].map(statusOf)), ['uncollectible', 'uncollectible'])
  state.payInvoice(paid.theirs.id)
  state.voidInvoice(voided.theirs.id)
  for (const { tenant } of [paid, voided]) await settle(tenant)
  t.same(await Promise.all([paid, voided].map(statusOf)), ['paid', 'void'])
  const ours = await oursOf(paid.tenant)
  const { payments } = await invoices.read(paid.tenant.organizationId, ours?.id ?? '')
  t.match(payments, [{ provider: 'stripe', reference: paid.theirs.id, amount: BigInt(paid.theirs.total) }])
  t.equal(payments.length, 1)
  t.same(faults, [])
})

t.test('what Stripe has ended before ours is there ends ours as soon as it is', async (t) => {
  const all = (await owing(3)) as [Owing, Owing, Owing]
  const [voided, givenUp, paid] = all
  state.voidInvoice(voided.theirs.id)
  state.giveUpInvoice(givenUp.theirs.id)
  state.giveUpInvoice(paid.theirs.id)
  state.payInvoice(paid.theirs.id)
  for (const { tenant } of all) await settle(tenant)
  for (const { tenant } of all) t.equal(await oursOf(tenant), undefined)
  await ourTurn(all)
  t.same(await Promise.all(all.map(statusOf)), ['void', 'uncollectible', 'paid'])
  t.same(faults, [])
})

t.test('events in the wrong order, and several times, come to the same', async (t) => {
  const [voided, paid] = (await owed(2)) as [Owing, Owing]
  const before = state.events.length
  for (const { theirs } of [voided, paid]) {
    state.clock.seconds += 1
    state.giveUpInvoice(theirs.id)
  }
  state.clock.seconds += 1
  state.voidInvoice(voided.theirs.id)
  state.payInvoice(paid.theirs.id)
  const events = state.events.slice(before)
  for (const event of [...events, ...events].reverse()) {
    await tell(event)
    for (const { tenant } of [voided, paid]) await work(tenant)
  }
  t.same(await Promise.all([voided, paid].map(statusOf)), ['void', 'paid'])
  t.equal((await entriesOf(voided, 'invoice.voided')).length, 1)
  t.equal((await entriesOf(paid, 'invoice.paid')).length, 1)
  t.same(faults, [])
})

t.test('of many that follow at once one act is left, and nobody is told of a fault', async (t) => {
  const [voided, givenUp] = (await owed(2)) as [Owing, Owing]
  state.voidInvoice(voided.theirs.id)
  state.giveUpInvoice(givenUp.theirs.id)
  const stored = (status: string, { theirs }: Owing) =>
    sql`update stripe_invoices set status = ${status} where id = ${theirs.id}`
  await rowsOf(voided, stored('void', voided))
  await rowsOf(givenUp, stored('uncollectible', givenUp))
  const times = Array.from({ length: 4 }, () => [voided, givenUp]).flat()
  await Promise.all(times.map(({ tenant }) => collect(tenant.organizationId)))
  t.same(await Promise.all([voided, givenUp].map(statusOf)), ['void', 'uncollectible'])
  t.equal((await entriesOf(voided, 'invoice.voided')).length, 1)
  t.equal((await entriesOf(givenUp, 'invoice.uncollectible')).length, 1)
  t.same(faults, [])
})

t.test('a try that Stripe voids takes nothing back while another of the same is open or paid', async (t) => {
  const [open, paid, givenUp] = (await owed(3)) as [Owing, Owing, Owing]
  const again = (one: Owing) => state.invoiceAgain(one.theirs.id)
  const second = { open: again(open), paid: again(paid), givenUp: again(givenUp) }
  state.payInvoice(second.paid.id)
  state.giveUpInvoice(second.givenUp.id)
  for (const { theirs, tenant } of [open, paid, givenUp]) {
    state.voidInvoice(theirs.id)
    await settle(tenant)
  }
  t.same(await Promise.all([open, paid, givenUp].map(statusOf)), ['open', 'paid', 'uncollectible'])
  state.voidInvoice(second.open.id)
  await settle(open.tenant)
  t.equal(await statusOf(open), 'void', 'once none is left it is void')
  t.match(await entriesOf(open, 'invoice.voided'), [{ after: { reference: open.theirs.id } }])
  t.same(faults, [])
})

t.test('nor while another is there of which nothing has arrived but that the first is void', async (t) => {
  const [open, paid] = (await owed(2)) as [Owing, Owing]
  for (const one of [open, paid]) {
    const { id } = state.invoiceAgain(one.theirs.id)
    if (one === paid) state.payInvoice(id)
    lose()
    state.clock.seconds += 1
    state.voidInvoice(one.theirs.id)
    await settle(one.tenant)
  }
  t.same(await Promise.all([open, paid].map(statusOf)), ['open', 'paid'])
  t.same(faults, [])
})

t.test('what Stripe ends over another amount is left open, and somebody is told', async (t) => {
  const [voided, givenUp, beside] = (await owed(3)) as [Owing, Owing, Owing]
  for (const { theirs } of [voided, givenUp]) theirs.total += 1
  state.voidInvoice(voided.theirs.id)
  state.giveUpInvoice(givenUp.theirs.id)
  const second = state.invoiceAgain(beside.theirs.id, { total: beside.theirs.total - 1 })
  state.voidInvoice(beside.theirs.id)
  for (const { tenant } of [voided, givenUp, beside]) await settle(tenant)
  t.same(await Promise.all([voided, givenUp, beside].map(statusOf)), ['open', 'open', 'open'])
  t.match(faults, [
    { reason: 'amount', stripeInvoiceId: voided.theirs.id },
    { reason: 'amount', stripeInvoiceId: givenUp.theirs.id },
  ])
  t.equal(faults.length, 2, 'what can still be paid is waited for')
  state.payInvoice(second.id)
  await settle(beside.tenant)
  t.equal(await statusOf(beside), 'open')
  t.match(faults[2], { reason: 'amount', stripeInvoiceId: second.id })
})

t.test('an end here is final: that Stripe was paid all the same is told and changes nothing', async (t) => {
  const [one] = (await owed(1)) as [Owing]
  state.voidInvoice(one.theirs.id)
  await settle(one.tenant)
  const second = state.invoiceAgain(one.theirs.id)
  await settle(one.tenant)
  t.same(faults, [])
  state.payInvoice(second.id)
  await settle(one.tenant)
  t.equal(await statusOf(one), 'void')
  t.match(faults, [{ reason: 'billing.invoice_state', stripeInvoiceId: second.id }])
})

t.test('the reconciliation agrees with what follows Stripe, and names what does not, of each its own', async (t) => {
  const [one, other] = (await owed(2)) as [Owing, Owing]
  const { reconcile } = createReconciliationService({
    postgres,
    compareDoor: async () => null,
    compareWindows: async () => 0,
    verifyInvoice: invoices.verify,
    clock: world.now,
  })
  const driftOf = async ({ tenant }: Owing, since = new Date(0)) =>
    (await reconcile(tenant.organizationId, since)).map(({ check, about, detail }) => `${check}: ${about}: ${detail}`)
  t.same(await driftOf(one), [])
  state.giveUpInvoice(one.theirs.id)
  for (const { tenant } of [one, other]) await settle(tenant)
  t.equal(await statusOf(one), 'uncollectible')
  t.same([await driftOf(one), await driftOf(other)], [[], []])

  const [ours, theirs] = [await oursOf(one.tenant), one.theirs.id]
  const store = (status: string) => rowsOf(one, sql`update stripe_invoices set status = ${status} where id = ${theirs}`)
  await store('void')
  const detail = `ours is uncollectible, and Stripe’s ${theirs} is void`
  t.same(await driftOf(one), [`stripe: ${ours?.number}: ${detail}`])
  t.same(await driftOf(other), [])
  t.same(await driftOf(one, new Date(world.now().getTime() + 1)), [], 'those that were asked for')
  const fact = { organizationId: one.tenant.organizationId, kind: 'billing.stripe_invoice_given_up', payload: {} }
  await postgres.withTenant(one.tenant.organizationId, (tx) => append(tx, fact))
  t.same(await driftOf(one), [], 'what is on its way is no fault')
  await work(one.tenant)
  t.same(await driftOf(one), [])
  t.equal(await statusOf(one), 'void')

  const by = { ...acting, asOperator: true as const }
  const second = await oursOf(other.tenant)
  const which = { organizationId: other.tenant.organizationId, invoiceId: second?.id ?? '' }
  await invoices.void(which, 'agreed by phone', by)
  t.same(await driftOf(other), [`stripe: ${second?.number}: ours is void, and Stripe’s ${other.theirs.id} is open`])
  state.voidInvoice(other.theirs.id)
  await settle(other.tenant)
  t.same(await driftOf(other), [])
  t.same(faults, [])
})

t.test('each of Stripe’s belongs to one of ours: that of its amount, and of these the nearest', async (t) => {
  const side = (id: string, status: string, total: bigint, billedAtMs: number): Side => {
    return { id, status, total, currency: 'USD', billedAtMs }
  }
  const standings = (ours: Side[], theirs: Side[]) =>
    claimsOf(ours, theirs).map(({ ours: { id }, standing }) => `${id} ${standing.status} ${standing.stripeInvoiceId}`)
  const first = side('first', 'paid', 4900n, 0)
  const second = side('second', 'open', 4900n, 2 * MINUTE_MS)
  const usage = side('usage', 'open', 70n, 2 * MINUTE_MS)
  const theirs = [
    side('in_1', 'void', 4900n, 2 * MINUTE_MS + 1),
    side('in_2', 'paid', 4900n, 1),
    side('in_3', 'open', 70n, MINUTE_MS),
    side('in_4', 'void', 70n, 8 * MINUTE_MS),
  ]
  const expected = ['first paid in_2', 'second void in_1', 'usage open in_3']
  for (let seed = 0; seed < 20; seed++)
    t.same(standings([first, second, usage], shuffled(theirs, randomOf(seed))), expected, `seed ${seed}`)
  t.same(standings([{ ...second, billedAtMs: null }], theirs), [], 'what has no time has no counterpart')
  t.same(standings([second], [{ ...side('in_5', 'void', 4900n, second.billedAtMs ?? 0), currency: 'EUR' }]), [
    'second differs in_5',
  ])
})
