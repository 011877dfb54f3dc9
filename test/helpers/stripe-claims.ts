import { sql } from 'drizzle-orm'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { createChangesService, openCollecting, openStripe, openStripeWork } from '../../src/domains/billing/index.ts'
import { createFollowing } from '../../src/domains/billing/stripe/following/service.ts'
import type { Acting } from '../../src/http/acting.ts'
import { newId } from '../../src/ids.ts'
import { readStripeAccount } from '../../src/stripe-account.ts'
import { startBillingWorld } from './billing-world.ts'
import { flatPlan } from './plans.ts'
import { signedEvent, startStripeDouble } from './stripe-double.ts'
import type { Invoice, StripeEvent } from './stripe-state.ts'
import type { TestTenant } from './tenants.ts'

export const acting: Acting = {
  principal: { kind: 'session', userId: newId('usr'), sessionId: newId('ses'), expiresAtMs: 0 },
  ip: '127.0.0.1',
  userAgent: undefined,
}
const price = {
  model: 'graduated' as const,
  included: '10',
  tiers: [
    { upTo: '10', unitAmount: '7' },
    { upTo: null, unitAmount: '4' },
  ],
}
const terms = { ...flatPlan, name: 'Paid', basePrice: '4900', metered: [{ meter: 'events', price }] }

/** Billing and Stripe on one clock, with a plan `paid` that is on offer. Nothing happens by itself. */
export async function startStripeClaims(t: Test, start: string) {
  const double = await startStripeDouble(t)
  const { state } = double
  state.clock.seconds = Date.parse(start) / 1000
  const world = await startBillingWorld(t, start)
  const { postgres, catalog, invoices, subscriptions } = world
  const account = readStripeAccount(double.environment, (text) => t.bailout(text))
  if (!account) throw new Error('Stripe is not configured')

  const faults: object[] = []
  const app = {
    postgres,
    metrics: { deadJobs: { inc: () => {} } },
    log: { error: (found: object) => faults.push(found) },
  } as unknown as FastifyInstance
  const stripe = openStripe(app, { account, catalog, clock: world.now })
  const { processing, usage } = openStripeWork(app, { account, clock: world.now })
  const { setFromProvider } = createChangesService({ subscriptions, catalog })
  const follow = createFollowing({ postgres, setFromProvider, onRefused: (code) => t.fail(code) })
  const collect = openCollecting(app, invoices)
  await catalog.createPlanVersion({ planKey: 'paid', baseVersion: 0, terms }, newId('usr'))
  await catalog.createPlanVersion({ planKey: 'flat', baseVersion: 0, terms: flatPlan }, newId('usr'))
  await catalog.offerPlan('paid', true)

  const tell = async (event: StripeEvent | undefined) => {
    const { payload, headers } = signedEvent(event ?? {})
    await stripe.intake.take(Buffer.from(payload), headers['stripe-signature'])
  }
  /** What was told leads to what follows from it. */
  const work = async ({ organizationId }: TestTenant) => {
    while ((await processing.step()) > 0);
    await follow(organizationId)
    await invoices.invoiceDue()
    await collect(organizationId)
    await postgres.withSystem((tx) =>
      tx.execute(sql`update outbox set published_at = now() where organization_id = ${organizationId}`),
    )
  }
  let told = 0

  return {
    ...{ state, world, faults, stripe, collect, tell, work },

    async to(time: string) {
      await world.to(time)
      state.clock.seconds = Date.parse(time) / 1000
    },

    /** Everything that Stripe has to tell is told, and what follows happens. */
    async settle(tenant: TestTenant) {
      for (; told < state.events.length; told++) await tell(state.events[told])
      await work(tenant)
    },

    /** What Stripe had to tell until now gets lost. */
    lose() {
      told = state.events.length
    },

    async buy({ organizationId }: TestTenant) {
      const purchase = { planKey: 'paid', successUrl: 'http://localhost/a', cancelUrl: 'http://localhost/b' }
      await stripe.checkout.checkout(organizationId, purchase, acting)
      const session = state.list('checkout.session').find((one) => one.client_reference_id === organizationId)
      return state.completeCheckout(session?.id ?? '')
    },

    /** Events of an hour, counted and received in it. */
    async use(tenant: TestTenant, count: number, hour: string) {
      await world.send(tenant, count, { at: `${hour}:00:00Z` })
      const { organizationId, projectId } = tenant
      await postgres.withTenant(organizationId, (tx) =>
        tx.execute(sql`insert into usage_windows (organization_id, project_id, window_start, events, revision, complete)
          values (${organizationId}, ${projectId}, ${`${hour}:00:00Z`}::timestamptz, ${count}, 1, true)`),
      )
    },

    async renew(subscriptionId: string, options?: { isDeclined: boolean }) {
      await usage.freeze()
      await usage.send()
      state.renew(subscriptionId, options)
    },

    /** What we have billed, the first first. */
    oursOf: async ({ organizationId }: TestTenant) =>
      (await invoices.list(organizationId, { limit: 50 })).data.filter(({ status }) => status !== 'draft').reverse(),

    theirsOf: (customer: string) => (state.list('invoice') as Invoice[]).filter((one) => one.customer === customer),
  }
}
export type StripeClaims = Awaited<ReturnType<typeof startStripeClaims>>
