import { sql } from 'drizzle-orm'
import t from 'tap'
import { extractText, getDocumentProxy } from 'unpdf'
import { createInvoiceMailsService } from '../../src/domains/billing/invoices/mails/service.ts'
import { acting, startStripeClaims } from '../helpers/stripe-claims.ts'
import type { TestTenant } from '../helpers/tenants.ts'

const claims = await startStripeClaims(t, '2026-03-10T10:00:00Z')
const { state, world, faults, to, settle, buy, use, renew, oursOf, theirsOf } = claims
const { postgres, invoices } = world

t.test('what Stripe collects is one claim: our invoices are its, to the cent, and paid when they are', async (t) => {
  const [tenant, manual] = [await world.tenant('free'), await world.tenant('flat')]
  const { organizationId } = tenant
  const credit = { organizationId, amount: 2000n, currency: 'USD', reason: 'sorry' }
  await invoices.addCredit(credit, { ...acting, asOperator: true })
  await to('2026-03-10T10:20:00Z')
  const { id, customer } = await buy(tenant)
  // Nobody can set a rate any more; one that is there all the same changes nothing.
  await postgres.withTenant(organizationId, (tx) =>
    tx.execute(sql`update billing_accounts set tax_basis_points = 1900`),
  )
  await settle(tenant)
  t.match(await oursOf(tenant), [{ status: 'paid', reason: 'start', total: 4900n, tax: 0n, creditApplied: 0n }])

  await use(tenant, 25, '2026-03-15T12')
  await to('2026-04-09T10:25:00Z')
  await renew(id)
  await settle(tenant)
  t.equal((await oursOf(tenant)).length, 1, 'what Stripe was paid early is not settled before ours is there')
  await to('2026-04-09T11:40:00Z')
  await settle(tenant)
  await settle(tenant)
  const [ours, theirs] = [await oursOf(tenant), theirsOf(customer)]
  t.match(ours, [{ status: 'paid' }, { status: 'paid', reason: 'period', total: 4990n, amountDue: 4990n }])
  t.same(
    ours.map(({ total }) => total),
    theirs.map(({ total }) => BigInt(total)),
  )
  for (const [index, invoice] of ours.entries()) {
    const { payments, document } = await invoices.read(organizationId, invoice.id)
    t.match(document, { collectedBy: 'stripe' })
    t.match(payments, [{ provider: 'stripe', reference: theirs[index]?.id, amount: invoice.total }])
    t.equal(payments.length, 1)
    t.same(await invoices.verify(organizationId, invoice.id), { same: true, evidence: 'kept', differences: [] })
  }
  t.same(faults, [])

  const [own] = await oursOf(manual)
  t.match(own, { status: 'open', total: 10_001n })
  t.notOk('collectedBy' in JSON.parse(own?.document ?? '{}'), 'what is paid by hand is not called collected')
})

t.test('nobody is asked to pay what Stripe collects, neither by mail nor on paper', async (t) => {
  const [stripes, manual] = [await world.tenant('free'), await world.tenant('flat')]
  await to('2026-04-10T10:00:00Z')
  await buy(stripes)
  await settle(stripes)
  const mails = createInvoiceMailsService({ postgres })
  const textsOf = async (tenant: TestTenant) => {
    const [invoice] = await oursOf(tenant)
    const { organizationId } = tenant
    const mail = await mails.compose({ id: 'x', organizationId, invoiceId: invoice?.id ?? '' })
    const paper = await getDocumentProxy(new Uint8Array(mail?.attachments?.[0]?.content as Buffer))
    return { mail: mail?.text ?? '', paper: (await extractText(paper, { mergePages: true })).text }
  }
  const collected = await textsOf(stripes)
  t.match(collected.mail, /It is collected through Stripe: you have nothing to do\./)
  t.notMatch(collected.mail, /to be paid/)
  t.match(collected.paper, /Collected through Stripe\. Please do not pay it in another way\./)
  t.notMatch(collected.paper, /\bDue\b/)
  const asked = await textsOf(manual)
  t.match(asked.mail, /are to be paid by 2026-/)
  t.match(asked.paper, /\bDue\b/)
  t.notMatch(asked.paper, /Stripe/)
})

t.test('what Stripe has collected otherwise than ours says is not called paid, and somebody is told', async (t) => {
  const tenant = await world.tenant('free')
  await to('2026-04-11T10:00:00Z')
  const { customer } = await buy(tenant)
  for (const invoice of theirsOf(customer)) Object.assign(invoice, { total: 4901, amount_paid: 4901 })
  faults.length = 0
  await settle(tenant)
  t.match(await oursOf(tenant), [{ status: 'open', total: 4900n }])
  t.match(faults, [{ reason: 'amount', stripeInvoiceId: theirsOf(customer)[0]?.id }])
})

t.test('a change of the plan at Stripe is on the invoice of the period’s end, as Stripe puts it', async (t) => {
  const tenant = await world.tenant('free')
  const { organizationId } = tenant
  await to('2026-04-12T10:00:00Z')
  const { id } = await buy(tenant)
  await settle(tenant)
  const metadata = { planKey: 'flat', planVersion: '1', isCustom: 'false' }
  state.switchPrices(id, [state.put('price', 'price', { unit_amount_decimal: '10001', metadata }).id])
  await to('2026-04-22T10:00:00Z')
  await settle(tenant)
  t.equal((await oursOf(tenant)).length, 1, 'there is no claim in the middle of the period')
  const { lines } = await invoices.preview(organizationId)
  t.match(lines.map(({ kind, amount }) => `${kind} ${amount}`).sort(), [
    'proration_charge 6667',
    'proration_credit -3267',
  ])
})
