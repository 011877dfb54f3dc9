/** What happens to invoices, as the outbox calls it. The payload is `{ invoiceId, number, total, currency }`. */
export const INVOICE_FINALIZED = 'invoice.finalized'
export const INVOICE_PAID = 'invoice.paid'
export const INVOICE_VOIDED = 'invoice.voided'
export const INVOICE_UNCOLLECTIBLE = 'invoice.uncollectible'
/** The same with the id of the credit note. */
export const INVOICE_CREDITED = 'invoice.credited'
