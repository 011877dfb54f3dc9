import type { Acting } from '../../../../http/acting.ts'
import { newId } from '../../../../ids.ts'
import { append } from '../../../../infra/outbox.ts'
import type { Postgres, SystemTx } from '../../../../infra/postgres.ts'
import { record } from '../../../audit/index.ts'
import {
  creditInvalid,
  creditNoteTooLarge,
  invoiceNotFound,
  invoiceStateWrong,
  paymentReferenceTaken,
} from '../../errors.ts'
import { divideRounded } from '../../money/rounding.ts'
import { INVOICE_CREDITED, INVOICE_PAID, INVOICE_UNCOLLECTIBLE, INVOICE_VOIDED } from '../fact-kinds.ts'
import { numberOf } from '../number.ts'
import * as sources from '../sources/store.ts'
import * as store from '../store.ts'

interface Dependencies {
  postgres: Postgres
  /** What numbers of credit notes begin with. */
  creditNotePrefix: string
  clock: () => Date
}

/** An invoice of an organization. */
export interface Which {
  organizationId: string
  invoiceId: string
}

/** Which invoice of a payment provider an act follows; nothing where a person acts on their own. */
interface Followed {
  provider?: 'stripe'
  reference?: string
}

export type SettlingService = ReturnType<typeof createSettlingService>
type By = Acting | 'system'

/** What becomes of an invoice that is final. Each act is one transaction with its entry in the audit log of the organization. */
export function createSettlingService({ postgres, creditNotePrefix, clock }: Dependencies) {
  /** Everything that changes what is owed by an organization waits in line here. */
  function inLine<T>(
    { organizationId, invoiceId }: Which,
    act: (tx: SystemTx, invoice: store.InvoiceRow) => Promise<T>,
  ) {
    return postgres.withSystem(async (tx) => {
      await sources.lockAccount(tx, organizationId)
      const invoice = await store.lockInvoice(tx, organizationId, invoiceId)
      if (!invoice) throw invoiceNotFound('There is no such invoice.')
      return act(tx, invoice)
    })
  }

  async function tell(tx: SystemTx, invoice: store.InvoiceRow, kind: string, by: By, after: Record<string, unknown>) {
    const { organizationId, id: invoiceId, number, currency } = invoice
    const payload = { invoiceId, number, currency, total: invoice.total.toString() }
    await append(tx, { organizationId, kind, payload: { ...payload, ...after } })
    await record(tx, {
      organizationId,
      by,
      action: kind,
      target: { kind: 'invoice', id: invoiceId },
      before: { status: invoice.status },
      after: { number, ...after },
    })
  }

  return {
    /**
     * Notes that an invoice was paid. A reference counts once: told again, it changes nothing and gives the same payment. Throws 409 where
     * the reference belongs to another invoice, or where there is nothing to pay.
     */
    pay: (
      { provider, reference, ...which }: Which & { provider: 'manual' | 'stripe'; reference: string },
      by: By = 'system',
    ): Promise<store.PaymentRow> =>
      inLine(which, async (tx, invoice) => {
        const notes = await store.listCreditNotes(tx, which.organizationId, invoice.id)
        const { isNew, payment } = await store.insertPayment(tx, {
          ...which,
          id: newId('pay', clock().getTime()),
          provider,
          reference,
          amount: dueOf(invoice, notes),
          currency: invoice.currency,
          receivedAt: clock(),
          createdBy: personOf(by),
        })
        if (!isNew && payment.invoiceId === invoice.id) return payment
        if (!isNew) throw paymentReferenceTaken('The reference belongs to the payment of another invoice.')
        requireStatus(invoice, ['open', 'uncollectible'], 'paid')
        await store.settle(tx, invoice, { status: 'paid', paidAt: payment.receivedAt })
        await tell(tx, invoice, INVOICE_PAID, by, { provider, reference, amount: payment.amount.toString() })
        return payment
      }),

    /** Takes an unpaid invoice back as a whole. Credit that it used is there again. With a reference, told again, it changes nothing. */
    void: ({ provider, reference, ...which }: Which & Followed, reason: string, by: By): Promise<void> =>
      inLine(which, async (tx, invoice) => {
        if (reference !== undefined && invoice.status === 'void') return
        requireStatus(invoice, ['open', 'uncollectible'], 'voided')
        await store.settle(tx, invoice, { status: 'void', voidedAt: clock() })
        if (invoice.creditApplied > 0n)
          await store.addEntry(tx, {
            ...entryOf(invoice, invoice.creditApplied, 'given back by a void invoice'),
            createdBy: personOf(by),
          })
        await tell(tx, invoice, INVOICE_VOIDED, by, { reason, ...(reference !== undefined && { provider, reference }) })
      }),

    /** Nobody expects it to be paid any more. With a reference, told again, it changes nothing. */
    markUncollectible: ({ provider, reference, ...which }: Which & Followed, reason: string, by: By): Promise<void> =>
      inLine(which, async (tx, invoice) => {
        if (reference !== undefined && invoice.status === 'uncollectible') return
        requireStatus(invoice, ['open'], 'given up')
        await store.settle(tx, invoice, { status: 'uncollectible' })
        await tell(tx, invoice, INVOICE_UNCOLLECTIBLE, by, {
          reason,
          ...(reference !== undefined && { provider, reference }),
        })
      }),

    /**
     * Takes back a part of an invoice, tax included. It lowers what is still to be paid; what is above that becomes credit. Throws 422 for
     * more than what the notes before have left.
     */
    creditNote: (
      { amount, reason, ...which }: Which & { amount: bigint; reason: string },
      by: Acting,
    ): Promise<store.CreditNoteRow> =>
      inLine(which, async (tx, invoice) => {
        requireStatus(invoice, ['open', 'paid', 'uncollectible'], 'credited')
        const notes = await store.listCreditNotes(tx, which.organizationId, invoice.id)
        const before = notes.reduce((sum, { total }) => sum + total, 0n)
        const left = invoice.total - before
        if (amount <= 0n || amount > left)
          throw creditNoteTooLarge(`Of the invoice ${left > 0n ? left : 0n} is left to be credited.`)
        // Parts of the tax are what its rounded running share gains, so that a full credit takes back exactly the tax.
        const taxOf = (credited: bigint) => divideRounded(invoice.tax * credited, invoice.total)
        const tax = taxOf(before + amount) - taxOf(before)
        const owed = invoice.status === 'paid' ? 0n : dueOf(invoice, notes)
        const settled = amount < owed ? amount : owed
        const note: store.CreditNoteRow = {
          ...which,
          id: newId('crn', clock().getTime()),
          number: numberOf(creditNotePrefix, await store.takeNumber(tx, creditNotePrefix)),
          reason,
          net: amount - tax,
          tax,
          total: amount,
          settled,
          issuedAt: clock(),
          createdBy: personOf(by) ?? '',
        }
        await store.insertCreditNote(tx, note)
        if (amount > settled)
          await store.addEntry(tx, {
            ...entryOf(invoice, amount - settled, `credit note ${note.number}`),
            creditNoteId: note.id,
            createdBy: note.createdBy,
          })
        if (owed > 0n && settled === owed) await store.settle(tx, invoice, { status: 'paid', paidAt: note.issuedAt })
        await tell(tx, invoice, INVOICE_CREDITED, by, { creditNoteId: note.id, amount: amount.toString(), reason })
        return note
      }),

    /** Gives an organization credit, or takes some back; it never goes below nothing. */
    addCredit: (
      {
        organizationId,
        amount,
        currency,
        reason,
      }: Pick<store.CreditEntryRow, 'organizationId' | 'amount' | 'currency' | 'reason'>,
      by: Acting,
    ): Promise<store.CreditEntryRow> =>
      postgres.withSystem(async (tx) => {
        await sources.lockAccount(tx, organizationId)
        const account = await sources.findAccount(tx, organizationId)
        if (!account) throw creditInvalid('There is no such organization.')
        if (account.currency !== null && account.currency !== currency)
          throw creditInvalid(`The organization is billed in ${account.currency}.`)
        const last = await store.lastEntry(tx, organizationId)
        if (amount === 0n || (last?.balance ?? 0n) + amount < 0n)
          throw creditInvalid(`The credit of the organization is ${last?.balance ?? 0n}, and never below nothing.`)
        // Credit that nothing could be paid with is none, so it decides what the organization will be billed in.
        if (account.currency === null) await sources.writeCurrency(tx, organizationId, currency)
        const entry = await store.addEntry(tx, {
          organizationId,
          id: newId('crd', clock().getTime()),
          amount,
          currency,
          reason,
          createdAt: clock(),
          createdBy: personOf(by),
        })
        await record(tx, {
          organizationId,
          by,
          action: 'credit.added',
          target: { kind: 'credit', id: entry.id },
          before: { balance: (entry.balance - amount).toString() },
          after: { balance: entry.balance.toString(), amount: amount.toString(), currency, reason },
        })
        return entry
      }),
  }

  function entryOf(invoice: store.InvoiceRow, amount: bigint, reason: string) {
    const { organizationId, id: invoiceId, currency } = invoice
    const at = clock()
    return { organizationId, id: newId('crd', at.getTime()), amount, currency, reason, invoiceId, createdAt: at }
  }
}

/** What is still to be paid of an unpaid invoice. */
export const dueOf = (invoice: Pick<store.InvoiceRow, 'amountDue'>, notes: readonly store.CreditNoteRow[]): bigint =>
  notes.reduce((due, { settled }) => due - settled, invoice.amountDue)

function requireStatus(
  { status, number }: store.InvoiceRow,
  allowed: store.InvoiceRow['status'][],
  what: string,
): void {
  if (!allowed.includes(status))
    throw invoiceStateWrong(`The invoice ${number ?? '(a draft)'} is ${status} and cannot be ${what}.`)
}

const personOf = (by: By): string | null =>
  by !== 'system' && by.principal.kind === 'session' ? by.principal.userId : null
