import { sql } from 'drizzle-orm'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import { extractText, getDocumentProxy } from 'unpdf'
import { createCatalogService } from '../../src/domains/billing/index.ts'
import { newId } from '../../src/ids.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { startTestMailbox } from '../helpers/mailbox.ts'
import { storeCopies } from '../helpers/naive-meter.ts'
import { flatPlan } from '../helpers/plans.ts'
import { addMember, sessionOf } from '../helpers/principals.ts'
import { createTenant, type TestTenant } from '../helpers/tenants.ts'

const DAY_MS = 86_400_000
const EVENTS = 250
const mailbox = await startTestMailbox(t)
const { app } = await startTestApp(t, { METERHOUSE_SMTP_URL: mailbox.url, METERHOUSE_SELLER_NAME: '=Seller' })
const { postgres } = app
const terms = {
  ...flatPlan,
  name: '=HYPERLINK("https://evil.example")',
  metered: [{ meter: 'events', price: { model: 'perUnit' as const, unitAmount: '0.5', included: '100' } }],
}
await createCatalogService({ postgres }).createPlanVersion({ planKey: 'flat', baseVersion: 0, terms }, newId('usr'))
const startedAt = new Date(Date.now() - 40 * DAY_MS)
const usedAtMs = Math.floor((startedAt.getTime() + 5 * DAY_MS) / DAY_MS) * DAY_MS
const make = async (): Promise<TestTenant> => {
  const tenant = await createTenant(postgres, 'owner', { planKey: 'flat', clock: () => startedAt })
  const copies = Array.from({ length: EVENTS }, (_, index) => ({
    organizationId: tenant.organizationId,
    projectId: tenant.projectId,
    event: index % 5 === 0 ? 'Opened' : 'Called',
    messageId: newId('evt'),
    timestampMs: usedAtMs + (index % 3) * 3_600_000,
    receivedMs: usedAtMs + DAY_MS,
    properties: '{}',
  }))
  await storeCopies({ clickhouse: app.clickhouse }, copies)
  return tenant
}
const [alpha, beta] = [await make(), await make()]
const ask = (tenant: TestTenant, path: string, userId = tenant.userId) =>
  app.inject(authorized(sessionOf(app, userId), { url: `/v1/organizations/${tenant.organizationId}/invoices${path}` }))
const invoicesOf = async (tenant: TestTenant) => (await ask(tenant, '')).json().data
const billed = (tenant: TestTenant) =>
  eventually('the invoices of a start and of a period', async () => {
    const data = await invoicesOf(tenant)
    return data.length === 2 && data.every(({ status }: { status: string }) => status !== 'draft') && data
  })
const operatorId = await addMember(app, await createTenant(postgres), 'viewer')
await postgres.withSystem((tx) => tx.execute(sql`update users set is_operator = true where id = ${operatorId}`))
const operate = (tenant: TestTenant, path: string, payload: object) => {
  const url = `/v1/admin/organizations/${tenant.organizationId}${path}`
  return app.inject(authorized(sessionOf(app, operatorId), { method: 'POST', url, payload } as InjectOptions))
}

t.test('what is over is billed by itself and mailed once to the owners, with the PDF', async (t) => {
  for (const tenant of [alpha, beta]) {
    const [period, start] = await billed(tenant)
    t.hasStrict(start, { reason: 'start', status: 'open', total: '10001' })
    t.match(period, { reason: 'period', status: 'open', total: String(10_001 + 75) })
    for (const { number } of [period, start]) {
      await eventually(
        'the mail',
        async () => mailbox.about(tenant.email, new RegExp(`Invoice ${number} from`)).length > 0,
      )
    }
  }
  const mails = mailbox.to(alpha.email)
  t.equal(mails.length, 2)
  t.equal(new Set(mails.map(({ messageId }) => messageId)).size, 2)
  t.match(mails[0]?.text, /application\/pdf/)
})

t.test('an organization reads its invoices in every form, and nobody else does', async (t) => {
  const [{ id, number }] = await billed(alpha)
  const analyst = await addMember(app, alpha, 'analyst')
  const viewer = await addMember(app, alpha, 'viewer')
  for (const path of [`/${id}`, `/${id}/pdf`, `/${id}/csv`, `/${id}/verify`, `/${id}/lines/2/hours`, '/preview', '']) {
    t.equal((await ask(alpha, path)).statusCode, 200, path)
    t.equal((await ask(alpha, path, analyst)).statusCode, 200, path)
    t.equal((await ask(alpha, path, viewer)).statusCode, 403, path)
    t.equal((await ask(alpha, path, beta.userId)).statusCode, 404, path)
    if (path.startsWith(`/${id}`)) t.equal((await ask(beta, path)).json().code, 'billing.invoice_not_found', path)
  }
  t.match((await ask(alpha, `/${id}`)).json(), {
    number,
    document: { number, lines: [{ kind: 'base' }, { kind: 'usage' }] },
  })
  t.same((await ask(alpha, `/${id}/verify`)).json(), { same: true, evidence: 'kept', differences: [] })
  const first = (await ask(alpha, '?limit=1')).json()
  const rest = (await ask(alpha, `?limit=1&cursor=${first.nextCursor}`)).json()
  t.same([...first.data, ...rest.data], await invoicesOf(alpha))
  t.equal((await ask(alpha, '/preview?cutOff=2026-02-30')).statusCode, 400)
})

t.test('a line is made of hours, projects and events whose counts and hashes sum to its own', async (t) => {
  const [{ id }] = await billed(alpha)
  for (const [by, parts] of [
    ['hour', 3],
    ['project', 1],
    ['event', 2],
  ] as const) {
    const { line, data } = (await ask(alpha, `/${id}/lines/2/hours?by=${by}`)).json()
    t.equal(data.length, parts, by)
    const total = data.reduce((sum: bigint, { rowCount }: { rowCount: string }) => sum + BigInt(rowCount), 0n)
    t.equal(total.toString(), line.rowCount)
    const hash = data.reduce((sum: bigint, part: { contentHash: string }) => sum + BigInt(`0x${part.contentHash}`), 0n)
    t.equal((hash % 2n ** 256n).toString(16).padStart(64, '0'), line.contentHash)
  }
  t.equal((await ask(alpha, `/${id}/lines/1/hours`)).json().code, 'billing.line_not_measured', 'a charge')
  t.equal((await ask(alpha, `/${id}/lines/9/hours`)).json().code, 'billing.line_not_measured')
})

t.test('the PDF says what the invoice says, in the same bytes each time, and the CSV runs no formula', async (t) => {
  const [{ id, number }] = await billed(alpha)
  const pdf = await ask(alpha, `/${id}/pdf`)
  t.match(pdf.headers, {
    'content-type': 'application/pdf',
    'content-disposition': `attachment; filename="${number}.pdf"`,
  })
  t.same((await ask(alpha, `/${id}/pdf`)).rawPayload, pdf.rawPayload)
  const { text } = await extractText(await getDocumentProxy(new Uint8Array(pdf.rawPayload)), { mergePages: true })
  for (const part of [number, '=Seller', '100.01 USD', '0.75 USD', '150 × 0.005 USD', '100.76 USD', 'page 1 of 1'])
    t.ok(text.includes(part), part)
  const { body } = await ask(alpha, `/${id}/csv`)
  t.equal(body.split('\r\n').length, 4)
  t.match(body, `"'=HYPERLINK`)
  t.notMatch(body, /(^|,)"?=/m)
})

t.test('the operator settles invoices, and everybody else finds no such route', async (t) => {
  const [{ id }, { id: other }] = await billed(alpha)
  t.equal((await operate(alpha, `/invoices/${id}/credit-notes`, { amount: '1', reason: 'sorry' })).statusCode, 201)
  t.hasStrict((await operate(alpha, `/invoices/${id}/pay`, { reference: 'bank 1' })).json(), {
    status: 'paid',
    payments: [{ amount: '10075', reference: 'bank 1' }],
    creditNotes: [{ total: '1' }],
  })
  t.equal((await operate(alpha, `/invoices/${id}/void`, { reason: 'x' })).json().code, 'billing.invoice_state')
  t.match((await operate(alpha, `/invoices/${other}/uncollectible`, { reason: 'gone' })).json(), {
    status: 'uncollectible',
  })
  t.match((await operate(alpha, `/invoices/${other}/void`, { reason: 'wrong' })).json(), { status: 'void' })
  t.equal(
    (await operate(beta, `/invoices/${id}/pay`, { reference: 'bank 2' })).json().code,
    'billing.invoice_not_found',
  )
  t.equal((await operate(alpha, `/invoices/${id}/credit-notes`, { amount: '99999', reason: 'x' })).statusCode, 422)
  t.hasStrict((await operate(alpha, '/credit', { amount: '500', currency: 'USD', reason: 'thanks' })).json(), {
    balance: '500',
  })
  t.equal(
    (
      await operate({ ...alpha, organizationId: newId('org') }, '/credit', {
        amount: '5',
        currency: 'USD',
        reason: 'x',
      })
    ).statusCode,
    422,
  )
  t.equal((await operate(alpha, '/credit', { amount: '0.5', currency: 'USD', reason: 'x' })).statusCode, 400)
  const url = `/v1/admin/organizations/${alpha.organizationId}/credit`
  const request = { method: 'POST', url, payload: { amount: '5', currency: 'USD', reason: 'x' } } as const
  t.equal((await app.inject(authorized(sessionOf(app, alpha.userId), request))).statusCode, 404)
})

t.test('a day that is none is refused by its name where usage proofs are asked for', async (t) => {
  const proofs = `/v1/organizations/${alpha.organizationId}/usage/proofs`
  const get = (url: string) => app.inject(authorized(sessionOf(app, alpha.userId), { url }))
  for (const day of ['0000-01-01', '2026-02-30', '2026-13-01', '26-01-01']) {
    const [page, one] = [await get(`${proofs}?cursor=${day}`), await get(`${proofs}/${day}`)]
    t.match([page.statusCode, page.json().errors], [400, [{ path: '/cursor' }]], day)
    t.match([one.statusCode, one.json().errors], [400, [{ path: '/day' }]], day)
  }
})
