import { append } from '../../../infra/outbox.ts'
import { PROVIDER_CHANGED, STRIPE_INVOICE_GIVEN_UP, STRIPE_INVOICE_PAID } from './fact-kinds.ts'
import type { ProviderPorts } from './ports.ts'

/** Writes what Stripe says into the outbox: what follows from it is done afterwards, one after the other, and never forgotten. */
export const factPorts: ProviderPorts = {
  entitle: (tx, { organizationId }) => append(tx, { organizationId, kind: PROVIDER_CHANGED, payload: {} }),
  paid: (tx, { organizationId, id }) =>
    append(tx, { organizationId, kind: STRIPE_INVOICE_PAID, payload: { stripeInvoiceId: id } }),
  givenUp: (tx, { organizationId, id }) =>
    append(tx, { organizationId, kind: STRIPE_INVOICE_GIVEN_UP, payload: { stripeInvoiceId: id } }),
}
