/** A purchase that was begun. Its number is part of the idempotency key, so whoever goes on with it gets the same session. */
export interface Checkout {
  number: number
  planKey: string
  planVersion: number
  successUrl: string
  cancelUrl: string
  sessionId: string | null
}

/** Who an organization is at Stripe. */
export interface StripeAccountRecord {
  organizationId: string
  customerId: string | null
  customerNumber: number
  checkout: Checkout | null
}

/** A subscription as Stripe had it when it was read last. */
export interface StripeSubscription {
  organizationId: string
  id: string
  status: string
  planKey: string
  planVersion: number
  isCustom: boolean
  periodStartsAt: Date
  periodEndsAt: Date
  cancelAtPeriodEnd: boolean
  trialEndsAt: Date | null
  canceledAt: Date | null
  createdAt: Date
  epoch: number
}

/** An invoice of Stripe's; amounts are minor units. */
export interface StripeInvoice {
  organizationId: string
  id: string
  subscriptionId: string | null
  status: string
  reason: string
  currency: string
  total: bigint
  amountPaid: bigint
  attempts: number
  periodStartsAt: Date
  periodEndsAt: Date
  paidAt: Date | null
  createdAt: Date
  epoch: number
}
