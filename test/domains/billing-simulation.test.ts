import { sql } from 'drizzle-orm'
import t from 'tap'
import { createRandom } from '../../scripts/clickstream/random.ts'
import type { InvoiceDocument } from '../../src/domains/billing/invoices/document.ts'
import * as sources from '../../src/domains/billing/invoices/sources/store.ts'
import {
  lineFaults,
  wordsOfDocument,
  wordsOfNaive,
  wordsOfNaivePeriod,
  wordsOfPeriod,
} from '../helpers/billing-simulation/compare.ts'
import { PUBLIC_PLANS } from '../helpers/billing-simulation/plans.ts'
import { GRACE_MS } from '../helpers/billing-simulation/process.ts'
import {
  METERS,
  makeReceipts,
  makeScenario,
  type Scenario,
  type Setting,
  timeZoneOf,
} from '../helpers/billing-simulation/scenario.ts'
import { type Member, startWorld } from '../helpers/billing-simulation/world.ts'
import type { Ledger, PlanVersion, Receipt } from '../helpers/naive-billing/ledger.ts'
import { naiveInvoices } from '../helpers/naive-billing.ts'

/**
 * Months of many organizations on a clock that the test moves, and every invoice of them computed a second time by a program that knows
 * only what was done and what was received. `TEST_SIMULATION_TENANTS=200 TEST_SIMULATION_KILLS=20 TEST_SIMULATION_SEED=…` for all of it.
 */
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const ON_THE_WAY_MS = 300_000
const tenants = Number(process.env.TEST_SIMULATION_TENANTS ?? 6)
const days = Number(process.env.TEST_SIMULATION_DAYS ?? 66)
/** How far the clock moves between two times at which work is done. */
const stepMs = Number(process.env.TEST_SIMULATION_STEP_HOURS ?? 48) * HOUR_MS
const seed = process.env.TEST_SIMULATION_SEED ?? '1'
let kills = Number(process.env.TEST_SIMULATION_KILLS ?? 0)

if (tenants > 6) t.setTimeout(0)
const random = createRandom(`billing ${seed}`)
// One window has the end of February and clocks that go forward, the other clocks that go back.
const startMs = Number(seed) % 2 === 0 ? Date.UTC(2026, 0, 14) : Date.UTC(2026, 7, 14)
const endMs = startMs + days * DAY_MS
const ticksMs = Array.from({ length: Math.floor((endMs - startMs) / stepMs) }, (_, step) => {
  return startMs + step * stepMs + random.below(stepMs / 1000) * 1000
})
const publishedMs = startMs + 35 * DAY_MS

const world = await startWorld(t)
const { one } = world
const published = new Map<string, PlanVersion>()
for (const key of ['pro', 'basic', 'yearly', 'euro']) published.set(key, await world.publish(key, 0))
const free = await one.catalog.planVersion('free')
published.set('free', { key: 'free', version: free.version, isCustom: false, terms: free })
const proTerms = PUBLIC_PLANS.pro?.[1]?.terms ?? free
const newPro: PlanVersion = { key: 'pro', version: 3, isCustom: false, terms: proTerms }
await world.makeCoupons()

const planAt = (key: string, ms: number): PlanVersion => {
  const plan = key === 'pro' && ms >= publishedMs ? newPro : published.get(key)
  if (!plan) throw new Error(`there is no plan ${key}`)
  return plan
}
const setting: Setting = { startMs, endMs, ticksMs, graceMs: GRACE_MS, onTheWayMs: ON_THE_WAY_MS, planAt }

interface Tenant {
  member: Member
  scenario: Scenario
  receipts: Receipt[]
  refused: number[]
}
const all: Tenant[] = []
for (let n = 0; n < tenants; n++) {
  const timeZone = timeZoneOf(n)
  const member = await world.join(n, timeZone)
  const scenario = makeScenario(n, random, setting, member.agreed)
  const receipts = makeReceipts(random, scenario, setting, member.projectIds)
  all.push({ member, scenario, receipts, refused: [] })
}
const previews = new Map<string, InvoiceDocument>()

t.test(`${tenants} organizations live through ${days} days (seed ${seed})`, async (t) => {
  const acts = all
    .flatMap((tenant) => tenant.scenario.done.map((done, place) => ({ tenant, done, place })))
    .toSorted((one, other) => one.done.atMs - other.done.atMs)
  const received = all
    .flatMap(({ member, receipts }) => receipts.map((receipt) => ({ member, receipt })))
    .toSorted((one, other) => one.receipt.receivedAtMs - other.receipt.receivedAtMs)
  let isPublished = false
  for (const tickMs of ticksMs) {
    while (acts[0] && acts[0].done.atMs <= tickMs) {
      const [{ tenant, done, place }] = acts.splice(0, 1) as [(typeof acts)[number]]
      if (!isPublished && done.atMs >= publishedMs) {
        await world.publish('pro', 1)
        isPublished = true
      }
      if (!(await world.act(tenant.member, done))) tenant.refused.push(place)
    }
    const later = received.findIndex(({ receipt }) => receipt.receivedAtMs > tickMs)
    await world.receive(received.splice(0, later === -1 ? received.length : later))
    world.moveTo(tickMs)
    if (random.chance(0.5)) await world.fail(random)
    if (kills > 0 && random.chance(0.5) && (await world.kill(random))) kills--
    await one.subscriptions.advance(world.now())
    await previewAll()
    await world.work()
  }
  t.equal(
    acts.length,
    all.flatMap(({ scenario }) => scenario.done).filter(({ atMs }) => atMs > (ticksMs.at(-1) ?? 0)).length,
  )
})

/** Asks what the bills that are about to be made will say, of organizations that have no other bill to come before. */
async function previewAll(): Promise<void> {
  const cutOff = new Date(world.now().getTime() - ON_THE_WAY_MS - GRACE_MS)
  const { rows } = await one.postgres.withSystem((tx) =>
    tx.execute<{ organization_id: string; id: string }>(sql`
      select distinct on (organization_id) organization_id, id from billing_periods period
      where status = 'ended' and ends_at <= ${cutOff.toISOString()}::timestamptz and not exists (
        select 1 from billing_charges charge where charge.organization_id = period.organization_id
          and due = 'now' and invoice_id is null)
      order by organization_id, ends_at, number`),
  )
  for (const { organization_id, id } of rows) previews.set(id, await one.invoices.preview(organization_id))
}

async function invoicesOf({ member: { organizationId } }: Tenant) {
  const { data } = await one.invoices.list(organizationId, { limit: 1000 })
  return data
    .filter(({ status }) => status !== 'draft')
    .map((row) => ({ row, document: JSON.parse(row.document) as InvoiceDocument }))
}

const ledgerOf = ({ scenario, receipts }: Tenant): Ledger => ({
  timeZone: scenario.timeZone,
  defaultPlan: planAt('free', 0),
  done: scenario.done.filter(({ atMs }) => atMs <= (ticksMs.at(-1) ?? 0)),
  receipts,
  meters: METERS,
  graceMs: GRACE_MS,
  ticksMs,
  onTheWayMs: ON_THE_WAY_MS,
})

t.test('what the rules forbid was refused, and nothing else', async (t) => {
  for (const [n, tenant] of all.entries())
    t.same(tenant.refused, naiveInvoices(ledgerOf(tenant)).course.refused, `organization ${n}`)
})

t.test('every period is where the second computation has it', async (t) => {
  for (const [n, tenant] of all.entries()) {
    const { organizationId } = tenant.member
    const rows = await one.postgres.withTenant(organizationId, (tx) => sources.listPeriods(tx, organizationId))
    const { periods } = naiveInvoices(ledgerOf(tenant)).course
    t.same(rows.map(wordsOfPeriod), periods.map(wordsOfNaivePeriod), `organization ${n}`)
  }
})

t.test('every invoice is what the second computation says, to the cent and to the line', async (t) => {
  let count = 0
  for (const [n, tenant] of all.entries()) {
    const documents = (await invoicesOf(tenant)).map(({ document }) => document)
    t.same(
      documents.map(wordsOfDocument).toSorted(byText),
      naiveInvoices(ledgerOf(tenant)).invoices.map(wordsOfNaive).toSorted(byText),
      `organization ${n}`,
    )
    t.same(documents.flatMap(lineFaults), [], `lines of organization ${n}`)
    count += documents.length
  }
  t.comment(`${count} invoices of ${tenants} organizations`)
})

t.test(
  'coupons that wait through a trial and periods that are cut short are among what was lived through',
  async (t) => {
    let [waited, cutShort] = [0, 0]
    for (const tenant of all) {
      const documents = (await invoicesOf(tenant)).map(({ document }) => document)
      const redeemed = tenant.scenario.done.find(({ act }) => act.kind === 'redeem' && act.code === 'WELCOME')
      const trial = naiveInvoices(ledgerOf(tenant)).course.periods.find(({ isTrial }) => isTrial)
      const discounted = (code: string, { coupons }: InvoiceDocument) =>
        coupons.some((coupon) => coupon.code === code && coupon.discount !== '0')
      const welcome = documents.find((document) => discounted('WELCOME', document))
      if (
        redeemed &&
        trial &&
        welcome &&
        redeemed.atMs < trial.startsAtMs &&
        Date.parse(welcome.cutOff) >= trial.endsAtMs
      )
        waited++
      const starts = documents.filter((document) => document.reason === 'start' && discounted('TENOFF', document))
      cutShort += documents.filter(
        ({ period, lines, coupons }) =>
          starts.some(({ cutOff }) => cutOff === period?.endsAt) &&
          lines.some(({ amount }) => BigInt(amount) > 0n) &&
          !coupons.some(({ code }) => code === 'TENOFF'),
      ).length
    }
    t.comment(`${waited} coupons waited, ${cutShort} periods were cut short`)
    t.ok(waited > 0 && cutShort > 0)
  },
)

t.test('numbers follow each other without a gap, and every charge is on one invoice', async (t) => {
  const found = (await Promise.all(all.map(invoicesOf))).flat()
  const numbers = found.map(({ row }) => row.number ?? '').toSorted(byText)
  t.same(
    numbers,
    numbers.map((_, index) => `INV-${String(index + 1).padStart(6, '0')}`),
  )
  const charges = found.flatMap(({ document }) =>
    document.lines.flatMap(({ source }) => (source.kind === 'charge' ? [source.chargeId] : [])),
  )
  t.equal(new Set(charges).size, charges.length)
})

t.test('each invoice can be computed again to the same bytes, and was announced by its preview', async (t) => {
  for (const tenant of all) {
    const found = await invoicesOf(tenant)
    for (const { row, document } of found) {
      const { same, differences } = await one.invoices.verify(row.organizationId, row.id)
      t.ok(same && differences.length === 0, `${row.number} again`, { differences })
      const preview = row.periodId === null ? undefined : previews.get(row.periodId)
      if (preview)
        t.same({ ...document, number: null, issuedAt: null, dueAt: null }, preview, `preview of ${row.number}`)
    }
    const billed = new Set(found.map(({ row }) => row.periodId))
    for (const [periodId, { buyer, lines }] of previews)
      if (buyer.organizationId === tenant.member.organizationId && !billed.has(periodId))
        t.ok(
          lines.every(({ amount }) => amount === '0'),
          `no invoice, and none announced for ${periodId}`,
        )
  }
})

const byText = (one: string | string[], other: string | string[]) => (String(one) < String(other) ? -1 : 1)
