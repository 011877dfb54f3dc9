import type Stripe from 'stripe'
import { append } from '../../../../infra/outbox.ts'
import type { Postgres, TenantTx } from '../../../../infra/postgres.ts'
import { record } from '../../../audit/index.ts'
import { PAYMENT_FAILED } from '../fact-kinds.ts'
import { idOf, readInvoice, readSubscription } from '../objects.ts'
import type { Applied, Apply, ProviderPorts } from '../ports.ts'
import * as store from '../store.ts'

interface Dependencies {
  postgres: Postgres
  ports: ProviderPorts
}

/** States in which Stripe asks nobody for the amount. */
const GIVEN_UP = ['void', 'uncollectible']

/**
 * Stores what was just read from Stripe. The epoch is that of the lease under which it was read: whoever read earlier and writes later
 * changes nothing.
 */
export function createApply({ postgres, ports }: Dependencies): Apply {
  async function inAccountOf(
    customer: string | { id: string } | null,
    write: (tx: TenantTx, organizationId: string) => Promise<void>,
  ): Promise<Applied> {
    if (customer === null) return 'foreign'
    const organizationId = await postgres.withSystem((tx) => store.findOrganizationOf(tx, idOf(customer)))
    if (!organizationId) return 'foreign'
    await postgres.withTenant(organizationId, async (tx) => {
      // Two subscriptions of one organization are told one after the other, each seeing both.
      await store.lockAccount(tx, organizationId)
      await write(tx, organizationId)
    })
    return 'stored'
  }

  return {
    subscription: async (object: Stripe.Subscription, epoch: number): Promise<Applied> => {
      const snapshot = readSubscription(object)
      if (!snapshot) return 'foreign'
      return inAccountOf(object.customer, async (tx, organizationId) => {
        const before = await store.findSubscription(tx, snapshot.id)
        refuseRevival(store.ENDED_SUBSCRIPTION, before, snapshot)
        if (!(await store.putSubscription(tx, { ...snapshot, organizationId, epoch }))) return
        const live = await store.findLiveSubscription(tx, organizationId)
        const governing = live ?? (await store.findLastSubscription(tx, organizationId))
        if (governing) await ports.entitle(tx, governing)
      })
    },

    invoice: async (object: Stripe.Invoice, epoch: number): Promise<Applied> => {
      const snapshot = readInvoice(object)
      return inAccountOf(object.customer, async (tx, organizationId) => {
        const before = await store.findInvoice(tx, snapshot.id)
        refuseRevival(store.ENDED_INVOICE, before, snapshot)
        const row = { ...snapshot, organizationId, epoch }
        if (!(await store.putInvoice(tx, row))) return
        if (row.status === 'paid' && before?.status !== 'paid') await ports.paid(tx, row)
        if (GIVEN_UP.includes(row.status) && before?.status !== row.status) await ports.givenUp(tx, row)
        if (row.status !== 'open' || row.attempts <= (before?.attempts ?? 0)) return
        await append(tx, { organizationId, kind: PAYMENT_FAILED, payload: { stripeInvoiceId: row.id } })
        const target = { kind: 'stripe_invoice', id: row.id }
        const after = { attempts: row.attempts, total: row.total.toString(), currency: row.currency }
        await record(tx, { organizationId, by: 'system', action: 'billing.payment_failed', target, after })
      })
    },

    /** A customer that Stripe has deleted is forgotten, so that the next purchase makes another. */
    customer: async (object: Stripe.Customer | Stripe.DeletedCustomer): Promise<Applied> =>
      inAccountOf(object, async (tx, organizationId) => {
        if (object.deleted) await store.forgetCustomer(tx, organizationId, object.id)
      }),
  }
}

/** An end is final at Stripe, so what says otherwise was read before it. It is read again until it agrees, or set aside. */
function refuseRevival(
  ended: string[],
  before: { epoch: number; status: string } | undefined,
  after: { id: string; status: string },
): void {
  if (before && ended.includes(before.status) && before.status !== after.status)
    throw new Error(`${after.id} had ended as ${before.status} and is ${after.status}`)
}
