import type Stripe from 'stripe'
import type { TenantTx } from '../../../infra/postgres.ts'
import type { Checkout, StripeAccountRecord, StripeInvoice, StripeSubscription } from './records.ts'

/** What the other parts of billing make of what Stripe says. Each is called in the transaction that stores it. */
export interface ProviderPorts {
  /** The subscription that says what an organization may use: the oldest that has not ended, or the last of those that have. */
  entitle: (tx: TenantTx, subscription: StripeSubscription) => Promise<void>
  /** An invoice of Stripe's is paid: so is ours for the same period. */
  paid: (tx: TenantTx, invoice: StripeInvoice) => Promise<void>
  /** An invoice of Stripe's is void or uncollectible: so is ours, unless another collects the same. */
  givenUp: (tx: TenantTx, invoice: StripeInvoice) => Promise<void>
}

/** What became of an object: it was stored, or it is none of ours. */
export type Applied = 'stored' | 'foreign'

/** Stores what was just read, under the epoch of the lease under which it was read. */
export interface Apply {
  subscription: (object: Stripe.Subscription, epoch: number) => Promise<Applied>
  invoice: (object: Stripe.Invoice, epoch: number) => Promise<Applied>
  customer: (object: Stripe.Customer | Stripe.DeletedCustomer) => Promise<Applied>
}

export interface HeldAccount {
  account: StripeAccountRecord
  /** Writes what was found, and runs more in the same transaction. Throws 503 when the lease is not ours anymore. */
  change: (
    change: { customerId?: string; checkout?: Checkout },
    more?: (tx: TenantTx) => Promise<void>,
  ) => Promise<void>
}

/** Lets one at a time act for an organization at Stripe. */
export type InLease = <T>(organizationId: string, work: (held: HeldAccount) => Promise<T>) => Promise<T>
