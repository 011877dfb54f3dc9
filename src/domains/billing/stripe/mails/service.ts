import type { Mail } from '../../../../infra/mail.ts'
import type { Postgres } from '../../../../infra/postgres.ts'
import { renderMail } from '../../../identity/index.ts'
import { moneyText } from '../../invoices/money-text.ts'
import { listOwners, readBuyer } from '../../invoices/sources/store.ts'
import { readInvoice } from '../store.ts'

/** Which invoice of Stripe's a mail is about. */
export interface FailedPayment {
  id: string
  organizationId: string
  stripeInvoiceId: string
}

/** Writes the mail about a payment that has failed: to the address for billing, or to all owners. */
export function createStripeMails({ postgres }: { postgres: Postgres }) {
  return {
    /** Undefined where there is nobody to tell, and where it has been paid since. */
    async compose({ organizationId, stripeInvoiceId }: FailedPayment): Promise<Mail | undefined> {
      const { invoice, buyer, owners } = await postgres.withTenant(organizationId, async (tx) => ({
        invoice: await readInvoice(tx, stripeInvoiceId),
        ...(await readBuyer(tx, organizationId)),
        owners: await listOwners(tx, organizationId),
      }))
      const recipients = buyer.email ? [buyer.email] : owners
      if (invoice?.status !== 'open' || recipients.length === 0) return undefined
      const amount = moneyText((invoice.total - invoice.amountPaid).toString(), invoice.currency)
      return renderMail(recipients.join(', '), {
        subject: `A payment of ${buyer.name} has failed`,
        before: [
          'Hello,',
          `Stripe could not collect ${amount} from ${buyer.name}. It will try again. Please check the card in the billing portal.`,
        ],
        after: [],
      })
    },
  }
}
