/** What Stripe tells, as the outbox calls it. The payload is `{ stripeInvoiceId }`. */

/** Stripe could not collect an invoice. */
export const PAYMENT_FAILED = 'billing.payment_failed'
/** Stripe has drafted an invoice, which it closes within the hour: usage that belongs on it is sent now. */
export const STRIPE_INVOICE_DRAFTED = 'billing.stripe_invoice_drafted'
