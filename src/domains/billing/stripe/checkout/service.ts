import type Stripe from 'stripe'
import { Problem } from '../../../../errors.ts'
import type { Acting } from '../../../../http/acting.ts'
import type { Postgres } from '../../../../infra/postgres.ts'
import { record } from '../../../audit/index.ts'
import type { Plan } from '../../catalog/schemas.ts'
import { readFacts } from '../../invoices/sources/store.ts'
import { asking, wasAnswered } from '../client.ts'
import { alreadySubscribed, noCustomer, taxNotCollected } from '../errors.ts'
import { createMeters } from '../meters.ts'
import type { HeldAccount, InLease } from '../ports.ts'
import { assertSold, createPrices, planOfPrice, type SoldPlan } from '../prices.ts'
import type { Checkout } from '../records.ts'
import * as store from '../store.ts'
import { notCountedOf } from './not-counted.ts'
import type { CheckoutPage } from './schemas.ts'

export type CheckoutService = ReturnType<typeof createCheckoutService>

interface Dependencies {
  stripe: Stripe
  postgres: Postgres
  catalog: {
    readPlan: (planKey: string) => Promise<Plan>
    customPlan: (organizationId: string, planKey: string) => Promise<Plan>
  }
  inLease: InLease
  clock: () => Date
}

export interface Purchase {
  planKey: string
  successUrl: string
  cancelUrl: string
}

/**
 * Sends people to Stripe to pay there: card data never comes here. However many ask at once, an organization has one customer, one open
 * session and one subscription. What may be used follows from the stored subscription and never from the way back.
 */
export function createCheckoutService({ stripe, postgres, catalog, inLease, clock }: Dependencies) {
  const prices = createPrices({ stripe, meters: createMeters({ stripe }) })

  return {
    /**
     * Where to pay for a plan, and what of the organization's does not count there. Throws 404 for a plan that is not offered and 409 where
     * there is a subscription already, or a tax that Stripe would not collect.
     */
    async checkout(organizationId: string, purchase: Purchase, by: Acting): Promise<CheckoutPage> {
      const sold = await soldPlan(catalog, organizationId, purchase.planKey)
      assertSold(sold)
      return asking(() =>
        inLease(organizationId, async (held) => {
          const begun = held.account.checkout
          const facts = await postgres.withTenant(organizationId, (tx) =>
            readFacts(tx, organizationId, { charges: [], collectedBy: null }),
          )
          if (facts.taxBasisPoints > 0n) await refuseTaxed(begun)
          const notCounted = notCountedOf(facts, sold.plan, clock())
          const customerId = held.account.customerId ?? (await createCustomer(held))
          const wanted = wantedOf(begun, sold, purchase)
          const open = await settleSession(begun, wanted)
          const { isLive, had } = await lookFor(organizationId, customerId)
          if (isLive) throw second()
          if (open) return { url: open, notCounted }
          // A number whose session is closed would give that session again.
          if (begun?.sessionId) wanted.number = begun.number + 1
          // A plan is tried once.
          const trialDays = had.has(sold.plan.key) ? 0 : sold.plan.trialDays
          return { url: await createSession({ held, wanted, sold, customerId, trialDays, by }), notCounted }
        }),
      )
    },

    /**
     * Does something that what Stripe collects would contradict, such as setting a tax rate: while it lasts nothing is sold there, and a page
     * that is open is closed. Throws 409 where there is a subscription.
     */
    whileUnsold: <T>(organizationId: string, work: () => Promise<T>): Promise<T> =>
      asking(() =>
        inLease(organizationId, async ({ account: { customerId, checkout } }) => {
          if (customerId) {
            await settleSession(checkout, null)
            const { isLive } = await lookFor(organizationId, customerId)
            if (isLive)
              throw taxNotCollected(
                'Stripe collects from the organization, and no tax: its subscription there has to end before.',
              )
          }
          return work()
        }),
      ),

    /** Where cards, invoices and the subscription are managed. Throws 409 before the first purchase. */
    async portal(organizationId: string, returnUrl: string): Promise<{ url: string }> {
      const account = await postgres.withTenant(organizationId, (tx) => store.findAccount(tx, organizationId))
      const customer = account?.customerId
      if (!customer) throw noCustomer('Buy a plan first: before that there is nothing to manage.')
      return asking(async () => {
        const { url } = await stripe.billingPortal.sessions.create({ customer, return_url: returnUrl })
        return { url }
      })
    },
  }

  /** A page that is open would still sell without the tax. */
  async function refuseTaxed(begun: Checkout | null): Promise<never> {
    await settleSession(begun, null)
    throw taxNotCollected(
      'A tax rate is set for your organization, and Stripe would collect without the tax. Ask whoever runs this server for an invoice.',
    )
  }

  /** The mapping is stored before anybody is sent away: an event about a customer whom nobody knows would be none of ours. */
  async function createCustomer({ account, change }: HeldAccount): Promise<string> {
    const { organizationId, customerNumber } = account
    const { id } = await stripe.customers.create(
      { metadata: { organizationId } },
      { idempotencyKey: `meterhouse-customer-${organizationId}-${customerNumber}` },
    )
    await change({ customerId: id })
    return id
  }

  /** The address of the open session if it sells what is wanted; one that sells something else is closed first. */
  async function settleSession(checkout: Checkout | null, wanted: Checkout | null): Promise<string | undefined> {
    if (!checkout?.sessionId) return undefined
    const session = await stripe.checkout.sessions.retrieve(checkout.sessionId)
    if (session.status !== 'open') return undefined
    if (checkout.number === wanted?.number && session.url) return session.url
    await stripe.checkout.sessions.expire(session.id).catch(ignoreCompleted)
    return undefined
  }

  /** Asks our table and Stripe, as an event may be on its way or lost; gives the plans that were had before. */
  async function lookFor(organizationId: string, customer: string): Promise<{ isLive: boolean; had: Set<string> }> {
    const known = await postgres.withTenant(organizationId, (tx) => store.findLiveSubscription(tx, organizationId))
    const had = new Set<string>()
    if (known) return { isLive: true, had }
    for await (const { status, items } of stripe.subscriptions.list({ customer, status: 'all', limit: 100 })) {
      if (!store.ENDED_SUBSCRIPTION.includes(status)) return { isLive: true, had }
      for (const { price } of items.data) had.add(planOfPrice(price)?.planKey ?? '')
    }
    return { isLive: false, had }
  }

  interface NewSession {
    held: HeldAccount
    wanted: Checkout
    sold: SoldPlan
    customerId: string
    trialDays: number
    by: Acting
  }

  /** What is wanted is written down before it is asked for: after a crash the same key gives the same session. */
  async function createSession({ held, wanted, sold, customerId, trialDays, by }: NewSession): Promise<string> {
    const { organizationId } = held.account
    const items = await prices.itemsOf(sold)
    await held.change({ checkout: wanted })
    const session = await stripe.checkout.sessions
      .create(sessionParams({ organizationId, wanted, customerId, items, trialDays }), {
        idempotencyKey: `meterhouse-checkout-${organizationId}-${wanted.number}`,
      })
      .catch(async (error) => {
        // Stripe gives its first answer again for a day, so a purchase that it refused needs another number.
        if (wasAnswered(error)) await held.change({ checkout: { ...wanted, planKey: '' } })
        throw error
      })
    if (!session.url) throw new Error('a session of Stripe has no address')
    await held.change({ checkout: { ...wanted, sessionId: session.id } }, (tx) =>
      record(tx, {
        organizationId,
        by,
        action: 'billing.checkout_started',
        target: { kind: 'plan', id: wanted.planKey },
        after: { planKey: wanted.planKey, planVersion: wanted.planVersion },
      }),
    )
    return session.url
  }
}

/** The purchase that was begun, if it is the same one, or the next. */
function wantedOf(checkout: Checkout | null, { plan }: SoldPlan, { successUrl, cancelUrl }: Purchase): Checkout {
  const asked = { planKey: plan.key, planVersion: plan.version, successUrl, cancelUrl }
  const isSame =
    checkout !== null && Object.entries(asked).every(([name, value]) => checkout[name as keyof typeof asked] === value)
  return { ...asked, number: isSame ? checkout.number : (checkout?.number ?? 0) + 1, sessionId: null }
}

function sessionParams(options: {
  organizationId: string
  wanted: Checkout
  customerId: string
  items: { price: string; quantity?: 1 }[]
  trialDays: number
}): Stripe.Checkout.SessionCreateParams {
  const { organizationId, wanted, customerId, items, trialDays } = options
  const metadata = { organizationId, planKey: wanted.planKey, planVersion: String(wanted.planVersion) }
  return {
    mode: 'subscription',
    customer: customerId,
    client_reference_id: organizationId,
    line_items: items,
    success_url: wanted.successUrl,
    cancel_url: wanted.cancelUrl,
    metadata,
    subscription_data: { metadata, ...(trialDays > 0 && { trial_period_days: trialDays }) },
  }
}

/** What was agreed with the organization goes before what everybody is offered. */
async function soldPlan(catalog: Dependencies['catalog'], organizationId: string, planKey: string): Promise<SoldPlan> {
  try {
    return { plan: await catalog.customPlan(organizationId, planKey), agreedWith: organizationId }
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404) throw error
    return { plan: await catalog.readPlan(planKey), agreedWith: undefined }
  }
}

const second = () =>
  alreadySubscribed('Your organization has a subscription. Change it in the billing portal instead of buying another.')

function ignoreCompleted(error: { code?: string; statusCode?: number }): void {
  // Somebody has just paid: the subscription that this made is found next.
  if (error.statusCode !== 400) throw error
}
