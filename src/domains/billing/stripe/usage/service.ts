import Stripe from 'stripe'
import { failpoint } from '../../../../infra/failpoints.ts'
import type { Postgres, TenantTx } from '../../../../infra/postgres.ts'
import { failureOf, isOutage } from '../client.ts'
import { createMeters, EVENTS_METER, stripeNameOf } from '../meters.ts'
import { findAccount, listSubscriptions, lockAccount } from '../store.ts'
import { billedOf, hourAfter, hourOf, isUrgent, pushableHours, stampOf } from './hours.ts'
import { type CountedHour, countedHours } from './queries.ts'
import * as store from './store.ts'

/** Stripe forgets identifiers after 24 hours at the earliest; from then on a second copy would count. */
const FORGETS_AFTER_MS = 20 * 3_600_000
const ATTEMPTS_MAX = 10
const BATCH_ROWS = 200

interface Dependencies {
  stripe: Stripe
  postgres: Postgres
  clock: () => Date
  onDeadLetter: (failure: string) => void
}

interface Billed {
  organizationId: string
  customerId: string
  subscription: NonNullable<ReturnType<typeof billedOf>>
}

export type UsagePush = ReturnType<typeof createUsagePush>

/**
 * Tells Stripe's meters what was used, by the hour. What is told is frozen first and then sent as it is, under an identifier made of what it
 * is about: sent twice it counts once. What changes afterwards is frozen as a difference of its own.
 */
export function createUsagePush({ stripe, postgres, clock, onDeadLetter }: Dependencies) {
  const meters = createMeters({ stripe })

  /** Freezes what has changed in an organization; several at once wait for each other. */
  async function freezeOf(organizationId: string): Promise<number> {
    return postgres.withTenant(organizationId, async (tx) => {
      await lockAccount(tx, organizationId)
      const account = await findAccount(tx, organizationId)
      const customerId = account?.customerId
      if (!customerId) return 0
      let count = 0
      for (const row of await listSubscriptions(tx, organizationId)) {
        const subscription = billedOf(row, clock())
        if (subscription) count += await freezeHours(tx, { organizationId, customerId, subscription })
      }
      return count
    })
  }

  async function freezeHours(tx: TenantTx, { organizationId, customerId, subscription }: Billed): Promise<number> {
    const now = clock()
    const span = { meterKey: EVENTS_METER, ...pushableHours(subscription, now) }
    const { rows } = await tx.execute<CountedHour>(countedHours(organizationId, span))
    const due = rows
      .map((row) => ({ ...row, hour: new Date(row.hour) }))
      .filter(({ hour, complete }) => complete || isUrgent(hour, subscription, now))
    const frozen = due.map(({ hour, quantity, frozen, revisions: revision }) => ({
      organizationId,
      meterKey: EVENTS_METER,
      hour,
      revision,
      quantity: BigInt(quantity) - BigInt(frozen),
      identifier: [organizationId, EVENTS_METER, hour.getTime() / 3_600_000, revision].join(':'),
      customerId,
      stampedAt: stampOf(hour, subscription, now),
      frozenAt: now,
    }))
    await store.insertFrozen(tx, frozen)
    return frozen.length
  }

  /** Asks Stripe before it is told again what it may have forgotten. Throws when its sum is neither with nor without the row. */
  async function hasArrived(row: store.UsageRow): Promise<boolean> {
    const span = { from: hourOf(row.stampedAt), to: hourAfter(hourOf(row.stampedAt)) }
    const { data } = await stripe.billing.meters.listEventSummaries(await meters.idOf(row.meterKey), {
      customer: row.customerId,
      start_time: span.from.getTime() / 1000,
      end_time: span.to.getTime() / 1000,
    })
    const there = data.reduce((sum, { aggregated_value }) => sum + BigInt(aggregated_value), 0n)
    const known = await postgres.withTenant(row.organizationId, (tx) => store.sumSent(tx, row, span))
    if (there === known + row.quantity) return true
    if (there !== known) throw new Error('the meter says neither that it arrived nor that it did not')
    return false
  }

  async function send(row: store.UsageRow): Promise<void> {
    const within = <T>(fn: Parameters<typeof postgres.withTenant<T>>[1]) => postgres.withTenant(row.organizationId, fn)
    const now = clock()
    const isOld = row.attemptedAt !== null && now.getTime() - row.attemptedAt.getTime() >= FORGETS_AFTER_MS
    const arrived = isOld ? await attempt(() => hasArrived(row)) : {}
    await within((tx) => store.markAttempt(tx, row, now))
    failpoint('stripe.usage-attempted')
    const { error } = arrived.value || arrived.error ? arrived : await attempt(() => deliver(row))
    failpoint('stripe.usage-delivered')
    if (error === undefined) return within((tx) => store.settle(tx, row, { sentAt: clock(), error: null }))
    const failure = failureOf(error)
    const isDead = !isOutage(error) && row.attempts + 1 >= ATTEMPTS_MAX
    await within((tx) => store.settle(tx, row, { error: failure, deadAt: isDead ? clock() : null }))
    if (isDead) onDeadLetter(failure)
  }

  async function deliver({ meterKey, identifier, customerId, quantity, stampedAt }: store.UsageRow): Promise<void> {
    try {
      await stripe.billing.meterEvents.create({
        event_name: stripeNameOf(meterKey),
        identifier,
        timestamp: stampedAt.getTime() / 1000,
        payload: { stripe_customer_id: customerId, value: quantity.toString() },
      })
    } catch (error) {
      if (!isDuplicate(error)) throw error
    }
  }

  return {
    /** Freezes what has changed, of all who have or had a subscription; gives how many rows that made. */
    async freeze(): Promise<number> {
      let count = 0
      for (const organizationId of await postgres.withSystem(store.listBilled)) count += await freezeOf(organizationId)
      return count
    },

    /** Sends what is frozen, once; what fails is left for the next time. */
    async send(): Promise<void> {
      const rows = await postgres.withSystem((tx) => store.listPending(tx, BATCH_ROWS))
      for (const row of rows) await send(row)
    },
  }
}

/** What came of asking Stripe; a failure is an answer, too. */
async function attempt<T>(question: () => Promise<T>): Promise<{ value?: T; error?: unknown }> {
  try {
    return { value: await question() }
  } catch (error) {
    return { error }
  }
}

/** Stripe refuses an identifier that it knows: the row had arrived. */
function isDuplicate(error: unknown): boolean {
  if (!(error instanceof Stripe.errors.StripeInvalidRequestError)) return false
  return error.code === 'duplicate_meter_event' || /already exists with identifier/.test(error.message)
}
