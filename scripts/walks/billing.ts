import { setTimeout as delay } from 'node:timers/promises'
import { extractText } from 'unpdf'
import { createOperatorsService } from '../../src/domains/identity/index.ts'
import { createPostgres } from '../../src/infra/postgres.ts'
import { baseUrl, call, enter, expect, findInbox, say } from './person.ts'

/**
 * Walks through a running server as somebody who comes to pay for it: sign up on Free, use up the limit, be refused, upgrade, go on, get an
 * invoice and open its PDF. The operator has a part in it, whom the walk makes itself, so it needs the server's database:
 *
 *     METERHOUSE_URL=http://localhost:3000 METERHOUSE_POSTGRES_URL=… npm run walk:billing
 */
const RESUME_PROMISE_MS = 2000
const INVOICE_PATIENCE_MS = 60_000
const LIMIT = 50
const reason = 'a walk'
const TERMS = {
  name: 'Walk',
  description: 'As Free, and used up sooner.',
  currency: 'USD',
  interval: 'month',
  basePrice: '0',
  metered: [],
  trialDays: 0,
  limits: {
    events: { perPeriod: String(LIMIT), mode: 'hard' },
    ...{ projects: null, members: null, retentionDays: null, eventsPerSecond: null },
  },
}

const url = process.env.METERHOUSE_POSTGRES_URL
if (!url) throw new Error('Set METERHOUSE_POSTGRES_URL: the walk makes an operator, which only the database can do.')

const readMail = await findInbox()
const ada = await enter(readMail, 'Ada', 'Walk')
const olga = await enter(readMail, 'Olga')
await makeOperator(olga.email)
const { organizationId } = (await expect(200, 'GET', '/v1/me', { token: ada.token })).memberships[0]
const organization = `/v1/organizations/${organizationId}`
const admin = `/v1/admin/organizations/${organizationId}`
const asAda = { token: ada.token }
const asOlga = { token: olga.token }

const start = await expect(200, 'GET', `${organization}/subscription`, asAda)
if (start.plan.key !== 'free') throw new Error(`a new organization is on ${start.plan.key}`)
const project = await expect(201, 'POST', `${organization}/projects`, { ...asAda, body: { name: 'Shop' } })
const wanted = { name: 'shop', kind: 'write' }
const { key } = await expect(201, 'POST', `/v1/projects/${project.id}/api-keys`, { ...asAda, body: wanted })
await expect(201, 'POST', `${admin}/plans`, {
  ...asOlga,
  body: { planKey: 'walk', baseVersion: 0, terms: TERMS, reason },
})
const assigned = { planKey: 'walk', isCustom: true, reason }
await expect(200, 'POST', `${admin}/plan`, { ...asOlga, body: assigned })
say(`Ada has an organization on Free, and Olga, the operator, gave it a limit of ${LIMIT} events`)

let sent = 0
const send = () =>
  call('POST', '/v1/events', { token: key, body: { event: 'Walked', userId: 'ada', messageId: `w${sent++}` } })
await reached('the limit is felt', async () => {
  const { status, body } = await send()
  return status === 429 && body.code === 'billing.quota_exceeded'
})
say(`after ${sent - 1} events the next was answered 429 billing.quota_exceeded`)

const change = `${organization}/subscription/change`
const trial = await expect(200, 'POST', change, { ...asAda, body: { planKey: 'pro' } })
const resumedMs = await reached('ingestion resumes', async () => (await send()).status === 202)
if (resumedMs > RESUME_PROMISE_MS) throw new Error(`ingestion resumed after ${resumedMs.toFixed(0)} ms`)
say(`Ada took Pro, which is ${trial.status}, and events were taken again ${resumedMs.toFixed(0)} ms later`)

await expect(200, 'POST', `${admin}/close-subscription`, { ...asOlga, body: { reason } })
await expect(200, 'POST', change, { ...asAda, body: { planKey: 'pro' } })
let invoice: { id: string; number: string; total: string; currency: string } | undefined
await reached('an invoice is made', async () => {
  invoice = (await expect(200, 'GET', `${organization}/invoices`, asAda)).data.at(0)
  return invoice !== undefined
})
if (!invoice) throw new Error('there is no invoice')
say(`the trial was ended, Pro was taken again and ${invoice.number} over ${invoice.total} cents was made`)
await readPdf(invoice)

const { same } = await expect(200, 'GET', `${organization}/invoices/${invoice.id}/verify`, asAda)
if (!same) throw new Error('the invoice could not be computed again')
const paid = await expect(200, 'POST', `${admin}/invoices/${invoice.id}/pay`, {
  ...asOlga,
  body: { reference: `walk ${invoice.id}` },
})
say(`it was computed again to the same bytes, and is ${paid.status} now that Olga noted the payment`)

const bought = await call('POST', `${organization}/billing/checkout`, { ...asAda, body: { planKey: 'pro' } })
if (bought.status === 200) say(`Stripe is configured: the page to pay on is ${bought.body.url}`)
else say(`nothing was bought at Stripe: ${bought.status} ${bought.body.code}`)

/** Asks until it is so, and gives how long it took. */
async function reached(what: string, ask: () => Promise<boolean>): Promise<number> {
  const startedAt = performance.now()
  while (!(await ask())) {
    if (performance.now() - startedAt > INVOICE_PATIENCE_MS) throw new Error(`not within a minute: ${what}`)
    await delay(20)
  }
  return performance.now() - startedAt
}

async function readPdf({ id, number, total }: NonNullable<typeof invoice>): Promise<void> {
  const path = `${organization}/invoices/${id}/pdf`
  const answer = await fetch(new URL(path, baseUrl()), { headers: { authorization: `Bearer ${ada.token}` } })
  const bytes = new Uint8Array(await answer.arrayBuffer())
  const head = new TextDecoder().decode(bytes.subarray(0, 4))
  if (head !== '%PDF') throw new Error(`the PDF begins with ${head}`)
  const { length } = bytes
  const { text } = await extractText(bytes, { mergePages: true })
  const amount = `${total.padStart(3, '0').slice(0, -2)}.${total.slice(-2)}`
  if (!text.includes(number) || !text.includes(amount)) throw new Error(`the PDF says neither ${number} nor ${amount}`)
  say(`its PDF has ${length} bytes and says ${number} and ${amount}`)
}

async function makeOperator(email: string): Promise<void> {
  const postgres = createPostgres({ url: url ?? '', poolMax: 1 })
  await createOperatorsService({ postgres }).change(email, true, reason)
  await postgres.close()
}
