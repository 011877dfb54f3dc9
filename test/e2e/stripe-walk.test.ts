import { randomUUID } from 'node:crypto'
import t from 'tap'
import { extractText } from 'unpdf'
import { call, enter, expect, type ReadMail } from '../../scripts/walks/person.ts'
import { createOperatorsService } from '../../src/domains/identity/index.ts'
import { createPostgres } from '../../src/infra/postgres.ts'
import { eventually } from '../helpers/app.ts'
import { startDeployment } from '../helpers/deployment.ts'
import { startTestMailbox, tokenIn } from '../helpers/mailbox.ts'
import { flatPlan } from '../helpers/plans.ts'
import { signedEvent, startStripeDouble } from '../helpers/stripe-double.ts'

/** `npm run walk:billing` takes the same way without Stripe. */
const LIMIT = 50
/** The promise is two seconds, to which a machine that runs other tests beside this one is not held. */
const RESUMED_WITHIN_MS = 5000
const reason = 'a walk'

const stripe = await startStripeDouble(t)
const mailbox = await startTestMailbox(t)
const { environment, startServer } = await startDeployment(t, {
  ...stripe.environment,
  METERHOUSE_SMTP_URL: mailbox.url,
})
const { baseUrl } = await startServer('all')

// Where the walks find the server.
process.env.METERHOUSE_URL = baseUrl
const readMail: ReadMail = async (to, subject) => tokenIn(await mailbox.next(to, 1, subject))

/** Everything that Stripe has to tell is told, as Stripe tells it. */
let told = 0
async function tell() {
  for (; told < stripe.state.events.length; told++) {
    const { url, headers, payload } = signedEvent(stripe.state.events[told] ?? {})
    const { status } = await fetch(new URL(url, baseUrl), { method: 'POST', headers, body: payload })
    if (status !== 200) throw new Error(`Stripe was answered ${status}`)
  }
}

t.test('who is stopped at the limit and pays at Stripe goes on at once, and has an invoice that is paid', async (t) => {
  const [ada, olga] = [await enter(readMail, 'Ada', 'Walk'), await enter(readMail, 'Olga')]
  const postgres = createPostgres({ url: environment.METERHOUSE_POSTGRES_URL, poolMax: 1 })
  t.teardown(() => postgres.close())
  await createOperatorsService({ postgres }).change(olga.email, true, reason)
  const asAda = { token: ada.token }
  const asOlga = { token: olga.token }
  const { organizationId } = (await expect(200, 'GET', '/v1/me', asAda)).memberships[0]
  const [organization, admin] = [`/v1/organizations/${organizationId}`, `/v1/admin/organizations/${organizationId}`]
  t.equal((await expect(200, 'GET', `${organization}/subscription`, asAda)).plan.key, 'free')

  const limits = { ...flatPlan.limits, events: { perPeriod: String(LIMIT), mode: 'hard' } }
  const small = { ...flatPlan, name: 'Small', basePrice: '0', limits }
  const paid = { ...flatPlan, name: 'Paid', basePrice: '4900' }
  for (const [planKey, terms] of Object.entries({ small, paid }))
    await expect(201, 'POST', `${admin}/plans`, { ...asOlga, body: { planKey, baseVersion: 0, terms, reason } })
  await expect(200, 'POST', `${admin}/plan`, { ...asOlga, body: { planKey: 'small', isCustom: true, reason } })

  const project = await expect(201, 'POST', `${organization}/projects`, { ...asAda, body: { name: 'Shop' } })
  const wanted = { name: 'shop', kind: 'write' }
  const { key } = await expect(201, 'POST', `/v1/projects/${project.id}/api-keys`, { ...asAda, body: wanted })
  const send = () =>
    call('POST', '/v1/events', { token: key, body: { event: 'Walked', userId: 'ada', messageId: randomUUID() } })
  let accepted = 0
  await eventually('the limit is felt', async () => {
    const { status, body } = await send()
    if (status === 202) accepted++
    return status === 429 && body.code === 'billing.quota_exceeded'
  })
  t.ok(accepted >= LIMIT, 'what was taken before the plan had its limit counts, too')
  t.equal((await send()).status, 429)

  const checkout = await expect(200, 'POST', `${organization}/billing/checkout`, {
    ...asAda,
    body: { planKey: 'paid' },
  })
  const session = stripe.state.list('checkout.session').at(-1)
  t.equal(checkout.url, session?.url)
  t.equal((await send()).status, 429, 'who was only sent to pay has not paid')
  stripe.state.clock.seconds = Math.floor(Date.now() / 1000)
  stripe.state.completeCheckout(session?.id ?? '')
  const paidAt = performance.now()
  await tell()
  await eventually('ingestion resumes', async () => (await send()).status === 202)
  const resumedMs = performance.now() - paidAt
  t.ok(resumedMs <= RESUMED_WITHIN_MS, `resumed ${resumedMs.toFixed(0)} ms after Stripe began to tell`)
  t.match(await expect(200, 'GET', `${organization}/subscription`, asAda), { plan: { key: 'paid' }, status: 'active' })

  const invoice = await eventually('an invoice that is paid', async () => {
    const { data } = await expect(200, 'GET', `${organization}/invoices`, asAda)
    return data.find(({ status }: { status: string }) => status === 'paid')
  })
  t.hasStrict(invoice, { number: 'INV-000001', total: '4900', currency: 'USD' })
  t.match(await expect(200, 'GET', `${organization}/invoices/${invoice.id}/verify`, asAda), { same: true })
  const pdf = await fetch(new URL(`${organization}/invoices/${invoice.id}/pdf`, baseUrl), {
    headers: { authorization: `Bearer ${ada.token}` },
  })
  const { text } = await extractText(new Uint8Array(await pdf.arrayBuffer()), { mergePages: true })
  t.match(text, /INV-000001/)
  t.match(text, /49\.00/)
  const portal = await expect(200, 'POST', `${organization}/billing/portal`, { ...asAda, body: {} })
  t.match(portal.url, /^https:\/\/billing\.stripe\.com\//)
  t.equal((await call('GET', `${organization}/invoices/${invoice.id}`, asOlga)).status, 404, 'it is nobody else’s')
})
