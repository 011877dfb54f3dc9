import type { Mail } from '../../../../infra/mail.ts'
import type { Postgres } from '../../../../infra/postgres.ts'
import { renderMail } from '../../../identity/index.ts'
import type { InvoiceDocument } from '../document.ts'
import { moneyText } from '../money-text.ts'
import { invoicePdf } from '../pdf.ts'
import * as sources from '../sources/store.ts'
import * as store from '../store.ts'

/** Which invoice a mail is about. */
export interface InvoiceFact {
  id: string
  organizationId: string
  invoiceId: string
}

/** Writes the mail with a new invoice: to the address for billing, or to all owners. */
export function createInvoiceMailsService({ postgres }: { postgres: Postgres }) {
  return {
    /** Undefined where there is nobody to tell. Asked again, it writes the same. */
    async compose({ organizationId, invoiceId }: InvoiceFact): Promise<Mail | undefined> {
      const found = await postgres.withTenant(organizationId, async (tx) => ({
        row: await store.findInvoice(tx, organizationId, invoiceId),
        owners: await sources.listOwners(tx, organizationId),
      }))
      if (!found.row) return undefined
      const document = JSON.parse(found.row.document) as InvoiceDocument
      const recipients = document.buyer.email ? [document.buyer.email] : found.owners
      if (recipients.length === 0) return undefined
      const content = await invoicePdf(document, { status: 'open', contentHash: found.row.contentHash })
      return {
        ...renderMail(recipients.join(', '), contentOf(document)),
        attachments: [{ filename: `${document.number}.pdf`, content, contentType: 'application/pdf' }],
      }
    },
  }
}

function contentOf({ number, total, currency, seller, buyer, ...document }: InvoiceDocument) {
  const due = dueText({ currency, ...document })
  return {
    subject: `Invoice ${number} from ${seller.name}`,
    before: ['Hello,', `attached is invoice ${number} for ${buyer.name} over ${moneyText(total, currency)}. ${due}`],
    after: [],
  }
}

/** Nobody is asked to pay what Stripe collects. */
function dueText({
  amountDue,
  currency,
  dueAt,
  collectedBy,
}: Pick<InvoiceDocument, 'amountDue' | 'currency' | 'dueAt' | 'collectedBy'>) {
  if (collectedBy) return 'It is collected through Stripe: you have nothing to do.'
  if (amountDue === '0') return 'There is nothing to be paid.'
  return `${moneyText(amountDue, currency)} are to be paid by ${dueAt?.slice(0, 10)}.`
}
