import type Stripe from 'stripe'
import { planOfPrice } from './prices.ts'
import type { StripeInvoice, StripeSubscription } from './records.ts'

const KINDS = { sub_: 'subscription', in_: 'invoice', cs_: 'session', cus_: 'customer' } as const
export type ObjectKind = (typeof KINDS)[keyof typeof KINDS]

/** What an id of Stripe's names; undefined for what we do not follow. */
export function kindOf(id: string): ObjectKind | undefined {
  for (const [prefix, kind] of Object.entries(KINDS)) if (id.startsWith(prefix)) return kind
}

const dateOf = (seconds: number) => new Date(seconds * 1000)
const dateOrNull = (seconds: number | null | undefined) => (seconds ? dateOf(seconds) : null)
export const idOf = (reference: string | { id: string }) => (typeof reference === 'string' ? reference : reference.id)

type Snapshot<Row> = Omit<Row, 'organizationId' | 'epoch'>

/** What we keep of a subscription; undefined for one that sells nothing of ours. */
export function readSubscription(subscription: Stripe.Subscription): Snapshot<StripeSubscription> | undefined {
  const items = subscription.items.data
  const reference = items.map(({ price }) => planOfPrice(price)).find((found) => found !== undefined)
  const [item] = items
  if (!reference || !item) return undefined
  return {
    id: subscription.id,
    status: subscription.status,
    ...reference,
    periodStartsAt: dateOf(item.current_period_start),
    periodEndsAt: dateOf(item.current_period_end),
    cancelAtPeriodEnd: subscription.cancel_at_period_end || subscription.cancel_at !== null,
    trialEndsAt: dateOrNull(subscription.trial_end),
    canceledAt: dateOrNull(subscription.canceled_at),
    createdAt: dateOf(subscription.created),
  }
}

/** What we keep of an invoice of Stripe's. */
export function readInvoice(invoice: Stripe.Invoice): Snapshot<StripeInvoice> {
  const subscription = invoice.parent?.subscription_details?.subscription
  return {
    id: invoice.id,
    subscriptionId: subscription ? idOf(subscription) : null,
    status: invoice.status ?? 'draft',
    reason: invoice.billing_reason ?? 'manual',
    currency: invoice.currency.toUpperCase(),
    total: BigInt(invoice.total),
    amountPaid: BigInt(invoice.amount_paid),
    attempts: invoice.attempt_count,
    periodStartsAt: dateOf(invoice.period_start),
    periodEndsAt: dateOf(invoice.period_end),
    paidAt: dateOrNull(invoice.status_transitions.paid_at),
    createdAt: dateOf(invoice.created),
  }
}
