import { sql } from 'drizzle-orm'
import t from 'tap'
import { redeemedCoupons } from '../../src/domains/billing/coupons/tables.ts'
import { createChangesService } from '../../src/domains/billing/index.ts'
import type { Acting } from '../../src/http/acting.ts'
import { newId } from '../../src/ids.ts'
import { armFailpoints } from '../../src/infra/failpoints.ts'
import { startBillingWorld } from '../helpers/billing-world.ts'
import { flatPlan } from '../helpers/plans.ts'
import type { TestTenant } from '../helpers/tenants.ts'

const world = await startBillingWorld(t, '2026-01-01T00:00:00Z')
const { invoices, postgres, catalog } = world
/** Nobody has defined the meter, so that it never makes a line and holds no invoice up. */
const undefinedMeter = { meter: 'not_there', price: { model: 'perUnit' as const, unitAmount: '1' } }
const terms = { ...flatPlan, metered: [undefinedMeter] }
await catalog.createPlanVersion({ planKey: 'flat', baseVersion: 0, terms }, newId('usr'))
const operator: Acting = {
  principal: { kind: 'session', userId: newId('usr'), sessionId: newId('ses'), expiresAtMs: 0 },
  ip: '127.0.0.1',
  userAgent: undefined,
  asOperator: true,
}
const [alpha, beta] = [await world.tenant('flat'), await world.tenant('flat')]
const setTax = ({ organizationId }: TestTenant, basisPoints: number) =>
  postgres.withTenant(organizationId, (tx) =>
    tx.execute(sql`update billing_accounts set tax_basis_points = ${basisPoints}, name = 'Élan 株式会社'`),
  )
const newest = async ({ organizationId }: TestTenant) => {
  const [row] = (await invoices.list(organizationId, { limit: 1 })).data
  if (!row) throw new Error('there is no invoice')
  return row
}
const which = async (tenant: TestTenant) => {
  const { organizationId, id: invoiceId } = await newest(tenant)
  return { organizationId, invoiceId }
}
const factsOf = async ({ organizationId }: TestTenant, kind: string) => {
  const { rows } = await postgres.withTenant(organizationId, (tx) =>
    tx.execute<{ payload: Record<string, string> }>(
      sql`select payload from outbox where kind = ${kind} order by created_at`,
    ),
  )
  return rows.map(({ payload }) => payload)
}
/** The next month is over and billed. */
let month = 1
const nextMonth = async () => {
  month++
  await world.to(new Date(Date.UTC(2026, month - 1, 2, 0, 10)))
  return invoices.invoiceDue()
}
const verified = async (tenant: TestTenant) => {
  const { organizationId, id } = await newest(tenant)
  return invoices.verify(organizationId, id)
}
const SAME = { same: true, evidence: 'kept', differences: [] }

t.test('a payment settles an invoice, and its reference counts once however often it is told', async (t) => {
  await setTax(alpha, 1900)
  await invoices.invoiceDue()
  const first = await which(alpha)
  t.match(await newest(alpha), { status: 'open', net: 10_001n, tax: 1900n, total: 11_901n, amountDue: 11_901n })
  const pay = () => invoices.pay({ ...first, provider: 'stripe', reference: 'pi_1' })
  const paid = await Promise.all(Array.from({ length: 8 }, pay))
  t.equal(new Set(paid.map(({ id }) => id)).size, 1)
  t.match(paid[0], { amount: 11_901n, currency: 'USD' })
  t.match(await newest(alpha), { status: 'paid', paidAt: world.now() })
  t.equal((await factsOf(alpha, 'invoice.paid')).length, 1)
  await t.rejects(invoices.pay({ ...first, provider: 'manual', reference: 'x' }), { code: 'billing.invoice_state' })
  t.equal((await factsOf(alpha, 'invoice.paid')).length, 1)
  await nextMonth()
  const second = await which(alpha)
  await t.rejects(invoices.pay({ ...second, provider: 'stripe', reference: 'pi_1' }), {
    code: 'billing.payment_reference_taken',
  })
  t.match(await newest(alpha), { status: 'open' }, 'a payment of another invoice settles nothing')
  await t.rejects(
    invoices.pay({ ...second, organizationId: beta.organizationId, provider: 'manual', reference: 'y' }),
    {
      code: 'billing.invoice_not_found',
    },
  )
})

t.test('credit lowers what is to be paid, never below nothing, and what is left stays for the next', async (t) => {
  const { organizationId } = beta
  const give = (amount: bigint) =>
    invoices.addCredit({ organizationId, amount, currency: 'USD', reason: 'sorry' }, operator)
  await give(15_000n)
  await t.rejects(give(-15_001n), { code: 'billing.credit_invalid' })
  await t.rejects(invoices.addCredit({ organizationId, amount: 1n, currency: 'EUR', reason: 'x' }, operator), {
    code: 'billing.credit_invalid',
  })
  await nextMonth()
  t.match(await newest(beta), { total: 10_001n, creditApplied: 10_001n, amountDue: 0n, status: 'paid' })
  t.same(await verified(beta), SAME)
  await nextMonth()
  t.match(await newest(beta), { total: 10_001n, creditApplied: 4999n, amountDue: 5002n, status: 'open' })
  t.same(await verified(beta), SAME)
  t.match(await newest(alpha), { creditApplied: 0n }, 'it is of one organization')
})

t.test(
  'credit is in what the organization is billed in, and decides it where nothing has cost anything yet',
  async (t) => {
    const { organizationId } = await world.tenant('free')
    const give = (currency: string) =>
      invoices.addCredit({ organizationId, amount: 1n, currency, reason: 'hello' }, operator)
    await give('EUR')
    await t.rejects(give('USD'), { code: 'billing.credit_invalid' })
    await catalog.offerPlan('flat', true)
    const changes = createChangesService({ subscriptions: world.subscriptions, catalog })
    await t.rejects(changes.changePlan(organizationId, 'flat', operator), { code: 'billing.currency_differs' })
  },
)

t.test('a void invoice gives the credit back that it used, and is the end of it', async (t) => {
  await invoices.void(await which(beta), 'wrong address', operator)
  t.match(await newest(beta), { status: 'void', voidedAt: world.now() })
  await t.rejects(invoices.void(await which(beta), 'again', operator), { code: 'billing.invoice_state' })
  await t.rejects(invoices.pay({ ...(await which(beta)), provider: 'manual', reference: 'late' }), {
    code: 'billing.invoice_state',
  })
  t.match(await factsOf(beta, 'invoice.voided'), [{ reason: 'wrong address' }])
  t.same(await verified(beta), SAME, 'what it said can still be proven')
  await nextMonth()
  t.match(await newest(beta), { creditApplied: 4999n, amountDue: 5002n })
})

t.test('credit notes take back no more than the invoice, and exactly its tax', async (t) => {
  const invoice = await newest(alpha)
  const note = (amount: bigint) =>
    which(alpha).then((which) => invoices.creditNote({ ...which, amount, reason: 'outage' }, operator))
  t.equal(invoice.total, 11_901n)
  const notes = [await note(4000n), await note(4000n)]
  await t.rejects(note(3902n), { code: 'billing.credit_note_too_large' })
  await t.rejects(note(0n), { code: 'billing.credit_note_too_large' })
  await t.rejects(note(-1n), { code: 'billing.credit_note_too_large' })
  t.match(await newest(alpha), { status: 'open' })
  notes.push(await note(3901n))
  t.equal(
    notes.reduce((sum, { tax }) => sum + tax, 0n),
    invoice.tax,
  )
  t.match(
    notes.map(({ number }) => number),
    ['CRN-000001', 'CRN-000002', 'CRN-000003'],
  )
  t.match(await newest(alpha), { status: 'paid' }, 'nothing is left to be paid')
  await t.rejects(note(1n), { code: 'billing.credit_note_too_large' })
})

t.test(
  'of many credit notes at once together no more than the invoice is taken back, and paid money becomes credit',
  async (t) => {
    await nextMonth()
    const paid = await which(alpha)
    await invoices.pay({ ...paid, provider: 'manual', reference: 'bank 1' }, operator)
    const outcomes = await Promise.allSettled(
      Array.from({ length: 6 }, () => invoices.creditNote({ ...paid, amount: 5000n, reason: 'outage' }, operator)),
    )
    t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 2)
    await nextMonth()
    t.match(await newest(alpha), { creditApplied: 10_000n, amountDue: 1901n })
    t.same(await verified(alpha), SAME)
  },
)

t.test('whoever dies between two steps leaves one invoice and one number, or none', async (t) => {
  const count = async () => {
    const { rows } = await postgres.withSystem((tx) =>
      tx.execute<{
        count: string
        numbers: string
        next: string
      }>(sql`select count(*), count(distinct number) as numbers,
        (select next from invoice_numbers where issuer = 'INV-') as next from invoices where status <> 'draft'`),
    )
    return rows[0]
  }
  const before = Number((await count())?.count)
  month++
  await world.to(new Date(Date.UTC(2026, month - 1, 2, 0, 10)))
  for (const name of ['invoices.measured', 'invoices.finalizing']) {
    armFailpoints(`${name}=error@1`, () => {})
    await t.rejects(invoices.invoiceDue(), { message: /could not be billed/ }, name)
    armFailpoints('', () => {})
  }
  await invoices.invoiceDue()
  const after = await count()
  t.equal(Number(after?.count), before + 2)
  t.equal(after?.numbers, after?.count)
  t.equal(Number(after?.next), Number(after?.count) + 1, 'no number is missing')
  for (const tenant of [alpha, beta]) t.same(await verified(tenant), SAME)
})

t.test('months that nobody billed are billed one after the other, each as it would have been', async (t) => {
  const { organizationId } = beta
  await invoices.addCredit({ organizationId, amount: 10_001n, currency: 'USD', reason: 'sorry' }, operator)
  month += 3
  await world.to(new Date(Date.UTC(2026, month - 1, 2, 0, 10)))
  const before = (await invoices.list(alpha.organizationId, { limit: 100 })).data.length
  await invoices.invoiceDue()
  const rows = (await invoices.list(alpha.organizationId, { limit: 100 })).data
  t.equal(rows.length, before + 3)
  for (const { id } of rows.slice(0, 3)) {
    const { document } = await invoices.read(alpha.organizationId, id)
    t.hasStrict(document.lines, [{ kind: 'base', amount: '10001' }])
    t.equal(document.lines.length, 1)
    t.same(await invoices.verify(alpha.organizationId, id), SAME)
  }
  const credited = (await invoices.list(organizationId, { limit: 3 })).data
  t.same(credited.map(({ creditApplied }) => creditApplied).toSorted(), [0n, 0n, 10_001n], 'the first has used it up')
  for (const { id } of credited) t.same(await invoices.verify(organizationId, id), SAME)
})

t.test('a coupon counts from the next invoice on, for as many periods as it says, in its own currency', async (t) => {
  const forTwo = { kind: 'percent', basisPoints: 2500, duration: { kind: 'periods', periods: 2 } }
  const once = { kind: 'amount', amount: '501', currency: 'USD', duration: { kind: 'once' } }
  const foreign = { kind: 'amount', amount: '9000', currency: 'EUR', duration: { kind: 'forever' } }
  const { organizationId } = beta
  for (const [code, coupon, currency] of [
    ['TWO', forTwo, null],
    ['ONCE', once, 'USD'],
    ['FOREIGN', foreign, 'EUR'],
  ] as const)
    await postgres.withTenant(organizationId, (tx) =>
      tx
        .insert(redeemedCoupons)
        .values({ organizationId, id: newId('cpn'), code, coupon, currency, redeemedAt: world.now() }),
    )
  const discounts = []
  for (let count = 0; count < 3; count++) {
    await nextMonth()
    discounts.push((await newest(beta)).discount)
    t.same(await verified(beta), SAME)
    t.equal((await newest(alpha)).discount, 0n)
  }
  t.same(discounts, [2500n + 501n, 2500n, 0n])
})

t.test('everything that was done to invoices is in the log of their organization', async (t) => {
  const { rows } = await postgres.withTenant(alpha.organizationId, (tx) =>
    tx.execute<{ action: string; actor_kind: string }>(sql`select distinct action, actor_kind from audit_entries
      where target_kind in ('invoice', 'credit') order by 1, 2`),
  )
  t.same(rows, [
    { action: 'invoice.credited', actor_kind: 'operator' },
    { action: 'invoice.finalized', actor_kind: 'system' },
    { action: 'invoice.paid', actor_kind: 'operator' },
    { action: 'invoice.paid', actor_kind: 'system' },
  ])
})

t.test('credit that came after an invoice is none of its, whatever the clocks of two processes say', async (t) => {
  const gamma = await world.tenant('flat')
  await invoices.invoiceDue()
  t.match(await newest(gamma), { creditApplied: 0n })
  const issuedAt = world.now()
  await world.to(new Date(issuedAt.getTime() - 2000))
  const credit = { organizationId: gamma.organizationId, amount: 300n, currency: 'USD', reason: 'sorry' }
  await invoices.addCredit(credit, operator)
  t.same(await verified(gamma), SAME)
  await world.to(issuedAt)
})
