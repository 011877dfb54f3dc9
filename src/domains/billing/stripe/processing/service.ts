import type Stripe from 'stripe'
import type { Postgres } from '../../../../infra/postgres.ts'
import { failureOf, isOutage } from '../client.ts'
import { idOf, kindOf } from '../objects.ts'
import type { Applied, Apply } from '../ports.ts'
import * as store from './store.ts'

const LEASE_MS = 5000
const OBJECTS_AT_ONCE = 8
const PAGE_ROWS = 100
export const ATTEMPTS_MAX = 10
const FIRST_PAUSE_MS = 2000
const PAUSE_MS_MAX = 600_000
const OUTAGE_PAUSE_MS = 15_000

interface Dependencies {
  stripe: Stripe
  postgres: Postgres
  apply: Apply
  clock: () => Date
  /** Told of every event whose last attempt has failed. */
  onDeadLetter: (failure: string) => void
  firstPauseMs?: number
}

export type Processing = ReturnType<typeof createProcessing>

/**
 * Works off the events that are written down, object by object: however many there are of one, and in whatever order they came, the object
 * is read once after all of them, and what Stripe says then is stored. An event is only a reason to look.
 */
export function createProcessing(dependencies: Dependencies) {
  const { postgres, clock } = dependencies
  const read = createReading(dependencies)

  async function processObject(lease: store.ObjectLease): Promise<void> {
    const pending = await postgres.withSystem((tx) => store.pendingOf(tx, lease.objectId))
    const ids = pending.map(({ id }) => id)
    // Only Stripe's clock says what came after what.
    const told = pending.filter(({ type }) => type !== store.READING)
    const newest = new Date(Math.max(0, ...told.map(({ createdAt }) => createdAt.getTime())))
    try {
      // The object was read after something newer than all of these.
      const isKnown = told.length === pending.length && lease.readAfter !== null && newest < lease.readAfter
      const applied = isKnown || pending.length === 0 ? 'stored' : await read(lease)
      const status = applied === 'stored' ? 'done' : 'ignored'
      await postgres.withSystem(async (tx) => {
        await store.settleEvents(tx, ids, { status, processedAt: clock(), error: null })
        await store.giveBack(tx, lease, { now: clock(), readAfter: newest })
      })
    } catch (error) {
      await putOff(lease, pending, error)
    }
  }

  /** An outage is waited out; anything else is tried ten times and then left for the operator. */
  async function putOff(
    lease: store.ObjectLease,
    pending: { id: string; attempts: number }[],
    error: unknown,
  ): Promise<void> {
    const { onDeadLetter, firstPauseMs = FIRST_PAUSE_MS } = dependencies
    const [now, failure, outage] = [clock(), failureOf(error), isOutage(error)]
    await postgres.withSystem(async (tx) => {
      for (const { id, attempts } of pending) {
        const tried = attempts + (outage ? 0 : 1)
        const isDead = tried >= ATTEMPTS_MAX
        const pauseMs = outage ? OUTAGE_PAUSE_MS : Math.min(PAUSE_MS_MAX, firstPauseMs * 2 ** (tried - 1))
        const dueAt = new Date(now.getTime() + pauseMs)
        await store.settleEvents(tx, [id], {
          status: isDead ? 'dead' : 'pending',
          attempts: tried,
          dueAt,
          error: failure,
        })
        if (isDead) onDeadLetter(failure)
      }
      await store.giveBack(tx, lease, { now })
    })
  }

  return {
    /** Resolves to how many objects were taken; 0 when nothing is due. */
    async step(): Promise<number> {
      const now = clock()
      const until = new Date(now.getTime() + LEASE_MS)
      const leases = await postgres.withSystem((tx) => store.takeLeases(tx, { now, until, limit: OBJECTS_AT_ONCE }))
      await Promise.all(leases.map(processObject))
      return leases.length
    },
  }
}

/** What was only listed gives way to whatever was read under a lease. */
const LISTED = 0
/** How long before the end of its period, by another clock, an invoice may be made. */
const EARLY_SECONDS = 300

/** Reads an object from Stripe and stores it. */
function createReading({ stripe, postgres, apply, clock }: Dependencies) {
  /**
   * A void invoice takes ours back for good, unless another collects the same. Events come in any order, so the others that Stripe has of
   * that time are stored before it.
   */
  async function readInvoice(id: string, epoch: number): Promise<Applied> {
    const invoice = await stripe.invoices.retrieve(id)
    if (invoice.status === 'void' && invoice.customer !== null) {
      const created = { gte: invoice.period_end - EARLY_SECONDS }
      const others = { customer: idOf(invoice.customer), created, limit: PAGE_ROWS }
      for await (const other of stripe.invoices.list(others)) if (other.id !== id) await apply.invoice(other, LISTED)
    }
    return apply.invoice(invoice, epoch)
  }

  return async ({ objectId, epoch }: store.ObjectLease): Promise<Applied> => {
    switch (kindOf(objectId)) {
      case 'subscription':
        return apply.subscription(await stripe.subscriptions.retrieve(objectId), epoch)
      case 'invoice':
        return readInvoice(objectId, epoch)
      case 'customer':
        return apply.customer(await stripe.customers.retrieve(objectId))
      case 'session': {
        const { subscription } = await stripe.checkout.sessions.retrieve(objectId)
        if (!subscription) return 'foreign'
        await postgres.withSystem((tx) => store.requestReading(tx, [idOf(subscription)], objectId, clock()))
        return 'stored'
      }
      default:
        return 'foreign'
    }
  }
}
