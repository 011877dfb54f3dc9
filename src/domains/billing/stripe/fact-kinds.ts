/** Stripe could not collect an invoice; the payload is `{ stripeInvoiceId }`. */
export const PAYMENT_FAILED = 'billing.payment_failed'
