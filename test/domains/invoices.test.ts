import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { sql } from 'drizzle-orm'
import pg from 'pg'
import t, { type Test } from 'tap'
import { newId } from '../../src/ids.ts'
import { startBillingWorld } from '../helpers/billing-world.ts'
import { PRICE } from '../helpers/invoice-input.ts'
import { naiveAmount } from '../helpers/naive-price.ts'
import { flatPlan } from '../helpers/plans.ts'

const world = await startBillingWorld(t, '2026-01-01T00:00:00Z')
const { invoices, postgres, catalog } = world
await catalog.createPlanVersion(
  {
    planKey: 'metered',
    baseVersion: 0,
    terms: { ...flatPlan, name: 'Metered', basePrice: '4900', metered: [{ meter: 'events', price: PRICE }] },
  },
  newId('usr'),
)
const [alpha, beta] = [await world.tenant('metered'), await world.tenant('metered')]
const list = async ({ organizationId }: { organizationId: string }) =>
  (await invoices.list(organizationId, { limit: 50 })).data.toReversed()
const last = async (tenant: { organizationId: string }) => {
  const row = (await list(tenant)).at(-1)
  if (!row) throw new Error('there is no invoice')
  return invoices.read(tenant.organizationId, row.id)
}
const verifyAll = async (t: Test) => {
  for (const tenant of [alpha, beta])
    for (const { id, status } of await list(tenant))
      if (status !== 'draft')
        t.same(await invoices.verify(tenant.organizationId, id), { same: true, evidence: 'kept', differences: [] })
}

t.test('a start is billed at once: the base price, and nothing for what was not used', async (t) => {
  t.equal(await invoices.invoiceDue(), 2)
  t.equal(await invoices.invoiceDue(), 0, 'once')
  for (const tenant of [alpha, beta]) {
    const { row, document } = await last(tenant)
    t.match(row, { status: 'open', reason: 'start', total: 4900n, amountDue: 4900n, issuedAt: world.now() })
    t.hasStrict(document.lines, [{ kind: 'base', amount: '4900' }])
    t.equal(document.lines.length, 1)
  }
})

t.test('a period is drafted when it ends and finalized when all that came until the cut-off is stored', async (t) => {
  await world.send(alpha, 1500, { at: '2026-01-10T12:00:00Z' })
  await world.send(alpha, 10, { at: '2026-01-31T23:00:00Z', receivedAt: '2026-02-01T20:00:00Z' })
  await world.send(beta, 7, { at: '2026-01-10T12:00:00Z' })
  await world.to('2026-02-01T00:00:10Z')
  t.equal(await invoices.invoiceDue(), 0)
  t.match(await last(alpha), { row: { status: 'draft', number: null, reason: 'period' } })
  await world.to('2026-02-02T00:01:00Z')
  t.equal(await invoices.invoiceDue(), 0, 'what was received just before may still be on its way')
  await world.to('2026-02-02T00:06:00Z')
  const preview = await invoices.preview(alpha.organizationId)
  t.equal(await invoices.invoiceDue(), 2)
  const { row, document } = await last(alpha)
  t.match(row, { status: 'open', cutOff: new Date('2026-02-02T00:00:00Z') })
  t.same({ ...document, number: null, issuedAt: null, dueAt: null }, preview, 'the preview said the same')
  const amount = naiveAmount(PRICE, 1510n)
  t.hasStrict(document.lines, [
    { kind: 'base', amount: '4900', from: '2026-02-01T00:00:00.000Z', to: '2026-03-01T00:00:00.000Z' },
    {
      kind: 'usage',
      quantity: '1510',
      rowCount: '1510',
      amount: amount.toString(),
      meter: { key: 'events', version: 1 },
    },
  ])
  t.hasStrict((await last(beta)).document.lines, [{ kind: 'base' }, { quantity: '7' }])
  await verifyAll(t)
})

t.test(
  'events that come after the cut-off are on the next invoice, with the invoice that they were late for',
  async (t) => {
    const before = await last(alpha)
    await world.send(alpha, 40, { at: '2026-01-20T12:00:00Z', receivedAt: '2026-02-10T00:00:00Z' })
    await world.send(alpha, 5, { at: '2026-02-20T12:00:00Z' })
    t.same(
      await invoices.verify(alpha.organizationId, before.row.id),
      { same: true, evidence: 'kept', differences: [] },
      'it stays as it is',
    )
    await world.to('2026-03-02T00:06:00Z')
    t.equal(await invoices.invoiceDue(), 2)
    const { document } = await last(alpha)
    const amount = naiveAmount(PRICE, 1550n) - naiveAmount(PRICE, 1510n)
    t.hasStrict(document.lines, [
      { kind: 'base' },
      { kind: 'usage', quantity: '5' },
      {
        kind: 'adjustment',
        quantity: '40',
        amount: amount.toString(),
        source: {
          periodNumber: 0,
          invoiceId: before.row.id,
          invoiceNumber: before.row.number,
          before: { quantity: '1510' },
          after: { quantity: '1550' },
        },
      },
    ])
    t.equal((await last(beta)).document.lines.length, 2, 'nobody else has one')
    await verifyAll(t)
  },
)

t.test('two processes at once make one invoice of a period, and numbers have no gap', async (t) => {
  await world.to('2026-04-02T00:06:00Z')
  const made = await Promise.all(Array.from({ length: 6 }, () => invoices.invoiceDue()))
  t.equal(
    made.reduce((one, other) => one + other),
    2,
  )
  for (const tenant of [alpha, beta]) t.equal((await list(tenant)).length, 4)
  const { rows } = await postgres.withSystem((tx) => tx.execute<{ number: string }>(sql`select number from invoices`))
  const numbers = rows.map(({ number }) => number).sort()
  t.same(
    numbers,
    Array.from({ length: 8 }, (_, index) => `INV-${String(index + 1).padStart(6, '0')}`),
  )
  await verifyAll(t)
})

t.test('a finalized invoice cannot be changed, deleted or given more lines by either role', async (t) => {
  const { row } = await last(alpha)
  const statements = [
    sql`update invoices set document = 'other' where id = ${row.id}`,
    sql`update invoices set total = 0, status = 'paid' where id = ${row.id}`,
    sql`update invoices set number = 'INV-9' where id = ${row.id}`,
    sql`update invoices set status = 'draft' where id = ${row.id}`,
    sql`delete from invoices where id = ${row.id}`,
    sql`insert into invoice_lines (organization_id, invoice_id, position, kind, description, amount, discount, net, tax, total, source)
      values (${alpha.organizationId}, ${row.id}, 99, 'base', 'more', 1, 0, 1, 0, 1, '{}')`,
    sql`update invoice_lines set amount = 0 where invoice_id = ${row.id}`,
    sql`delete from invoice_lines where invoice_id = ${row.id}`,
  ]
  for (const statement of statements) {
    await t.rejects(postgres.withTenant(alpha.organizationId, (tx) => tx.execute(statement)))
    await t.rejects(postgres.withSystem((tx) => tx.execute(statement)))
  }
  t.same((await last(alpha)).row, row)
})

const script = (...args: string[]) =>
  promisify(execFile)(process.execPath, ['scripts/verify-invoices.ts', ...args], {
    env: { ...process.env, ...world.environment },
  })

t.test('a verification finds what was changed in the events, and names the place', async (t) => {
  const row = (await list(alpha)).at(1)
  if (!row) throw new Error('there is no invoice')
  await world.send(alpha, 1, { at: '2026-01-15T00:00:00Z' })
  const { same, differences } = await invoices.verify(alpha.organizationId, row.id)
  t.notOk(same)
  t.match(
    differences.find(({ path }) => path === '/lines/1/quantity'),
    { stored: '"1510"', computed: '"1511"' },
  )
  t.same(await invoices.verify(beta.organizationId, (await list(beta)).at(1)?.id ?? ''), {
    same: true,
    evidence: 'kept',
    differences: [],
  })
  await t.rejects(invoices.verify(beta.organizationId, row.id), { code: 'billing.invoice_not_found' })
  await t.rejects(script(), {
    code: 1,
    stdout: /6 invoices came to the same bytes, 2 to others/,
    stderr: /lines\/1\/quantity/,
  })
  t.match(
    (await script('--organization', beta.organizationId)).stdout,
    '4 invoices came to the same bytes, 0 to others.',
  )
  await t.rejects(script('--organization', 'x'), { code: 2 })
})

t.test(
  'an invoice whose events are older than they are kept says that, and still shows what was altered',
  async (t) => {
    const { organizationId, projectId } = alpha
    const [, changed] = await list(alpha)
    const keep = (midnight: string) =>
      postgres.withTenant(organizationId, (tx) =>
        tx.execute(sql`update projects set events_kept_from = ${midnight} where id = ${projectId}`),
      )
    await keep('2026-01-01T00:00:00Z')
    t.match(await invoices.verify(organizationId, changed?.id ?? ''), { same: false, evidence: 'kept' }, 'all is there')
    await keep('2026-01-16T00:00:00Z')
    t.same(await invoices.verify(organizationId, changed?.id ?? ''), {
      same: false,
      evidence: 'erased',
      differences: [],
    })
    const later = (await list(alpha)).at(-1)?.id ?? ''
    t.match(
      await invoices.verify(organizationId, later),
      { same: true, evidence: 'kept' },
      'what is younger is not excused',
    )
    await t.resolves(script('--organization', beta.organizationId))
    const { stdout } = await script('--organization', organizationId)
    t.match(stdout, /2 invoices came to the same bytes, 0 to others\.\n2 cannot be computed again/)
    const admin = new pg.Client({ connectionString: world.postgresAdminUrl })
    await admin.connect()
    // Past the trigger, as only whoever runs the database can.
    await admin.query('set session_replication_role = replica')
    await admin.query('update invoice_lines set amount = 0 where invoice_id = $1 and position = 2', [changed?.id])
    await admin.end()
    const { evidence, differences } = await invoices.verify(organizationId, changed?.id ?? '')
    t.equal(evidence, 'erased')
    t.match(differences, [{ path: '/rows/1' }])
  },
)
