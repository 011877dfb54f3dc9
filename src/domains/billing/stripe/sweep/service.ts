import type Stripe from 'stripe'
import type { StripeAccount } from '../../../../config.ts'
import type { Postgres } from '../../../../infra/postgres.ts'
import { toRow } from '../event-row.ts'
import { idOf, readSubscription } from '../objects.ts'
import { deleteSettledBefore, insertEvents, requestReading } from '../processing/store.ts'
import { findOrganizationOf, findSubscription } from '../store.ts'

/** Stripe tries to deliver for three days. */
const LOOK_BACK_MS = 72 * 3_600_000
const KEEP_MS = 40 * 24 * 3_600_000
const PAGE_ROWS = 100

interface Dependencies {
  stripe: Stripe
  postgres: Postgres
  account: Pick<StripeAccount, 'livemode'>
  clock: () => Date
}

/** Asks Stripe for what it may have failed to tell: the events of the last days, and subscriptions that differ from what is stored. */
export function createSweep({ stripe, postgres, account, clock }: Dependencies) {
  async function fetchEvents(now: Date): Promise<number> {
    const gte = Math.floor((now.getTime() - LOOK_BACK_MS) / 1000)
    let found = 0
    let page: Stripe.Event[] = []
    const flush = async () => {
      const rows = page.map((event) => toRow(event, now))
      page = []
      found += await postgres.withSystem((tx) => insertEvents(tx, rows))
    }
    for await (const event of stripe.events.list({ created: { gte }, limit: PAGE_ROWS })) {
      if (event.livemode === account.livemode) page.push(event)
      if (page.length === PAGE_ROWS) await flush()
    }
    await flush()
    return found
  }

  async function compareSubscriptions(now: Date): Promise<number> {
    let found = 0
    for await (const object of stripe.subscriptions.list({ status: 'all', limit: PAGE_ROWS })) {
      if (await isAsStored(object)) continue
      found++
      await postgres.withSystem((tx) => requestReading(tx, [object.id], `sweep_${now.getTime()}`, now))
    }
    return found
  }

  async function isAsStored(object: Stripe.Subscription): Promise<boolean> {
    const snapshot = readSubscription(object)
    const organizationId = await postgres.withSystem((tx) => findOrganizationOf(tx, idOf(object.customer)))
    if (!snapshot || !organizationId) return true
    const stored = await postgres.withTenant(organizationId, (tx) => findSubscription(tx, object.id))
    return (
      stored !== undefined &&
      Object.entries(snapshot).every(
        ([name, value]) => JSON.stringify(value) === JSON.stringify(stored[name as keyof typeof stored]),
      )
    )
  }

  return {
    /** Gives how many events had not arrived and how many subscriptions differed; what they lead to follows. */
    async sweep(): Promise<{ events: number; subscriptions: number }> {
      const now = clock()
      const events = await fetchEvents(now)
      const subscriptions = await compareSubscriptions(now)
      await postgres.withSystem((tx) => deleteSettledBefore(tx, new Date(now.getTime() - KEEP_MS)))
      return { events, subscriptions }
    },
  }
}
export type Sweep = ReturnType<typeof createSweep>
