/** What Stripe tells, as the outbox calls it. */

/** What is stored of an organization's subscriptions at Stripe has changed; the payload is empty. */
export const PROVIDER_CHANGED = 'billing.provider_changed'
/** Stripe has collected an invoice; the payload is `{ stripeInvoiceId }`. */
export const STRIPE_INVOICE_PAID = 'billing.stripe_invoice_paid'
/** Stripe has voided an invoice or given it up; the payload is `{ stripeInvoiceId }`. */
export const STRIPE_INVOICE_GIVEN_UP = 'billing.stripe_invoice_given_up'
/** Stripe could not collect an invoice; the payload is `{ stripeInvoiceId }`. */
export const PAYMENT_FAILED = 'billing.payment_failed'
