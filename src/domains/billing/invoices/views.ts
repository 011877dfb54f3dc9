import type { InvoiceDocument } from './document.ts'
import type { CreditNote, Invoice, InvoiceSummary } from './schemas.ts'

interface Row extends Record<AmountName, bigint> {
  id: string
  number: string | null
  status: string
  reason: string
  periodId: string | null
  currency: string
  createdAt: Date
  issuedAt: Date | null
  dueAt: Date | null
  paidAt: Date | null
  voidedAt: Date | null
  contentHash: string
}
type AmountName = 'net' | 'tax' | 'total' | 'creditApplied' | 'amountDue'

interface Note extends Record<'net' | 'tax' | 'total' | 'settled', bigint> {
  id: string
  number: string
  reason: string
  issuedAt: Date
}

interface Found {
  row: Row
  document: InvoiceDocument
  payments: { id: string; provider: string; reference: string; amount: bigint; receivedAt: Date }[]
  creditNotes: Note[]
}

/** An invoice as the API shows it: amounts are texts. */
export const toSummary = (row: Row): InvoiceSummary => ({
  id: row.id,
  number: row.number,
  status: row.status,
  reason: row.reason,
  periodId: row.periodId,
  currency: row.currency,
  net: row.net.toString(),
  tax: row.tax.toString(),
  total: row.total.toString(),
  creditApplied: row.creditApplied.toString(),
  amountDue: row.amountDue.toString(),
  createdAt: row.createdAt.toISOString(),
  issuedAt: row.issuedAt?.toISOString() ?? null,
  dueAt: row.dueAt?.toISOString() ?? null,
  paidAt: row.paidAt?.toISOString() ?? null,
  voidedAt: row.voidedAt?.toISOString() ?? null,
  contentHash: row.contentHash,
})

export const toInvoice = ({ row, document, payments, creditNotes }: Found): Invoice => ({
  ...toSummary(row),
  document,
  payments: payments.map(({ id, provider, reference, amount, receivedAt }) => ({
    ...{ id, provider, reference },
    amount: amount.toString(),
    receivedAt: receivedAt.toISOString(),
  })),
  creditNotes: creditNotes.map(toCreditNote),
})

export const toCreditNote = (note: Note): CreditNote => ({
  id: note.id,
  number: note.number,
  reason: note.reason,
  net: note.net.toString(),
  tax: note.tax.toString(),
  total: note.total.toString(),
  settled: note.settled.toString(),
  issuedAt: note.issuedAt.toISOString(),
})

const HOUR_MS = 3_600_000

/** What a part is called: hours come counted from 1970. */
export const partKey = (by: 'hour' | 'project' | 'event', key: string): string =>
  by === 'hour' ? new Date(Number(key) * HOUR_MS).toISOString() : key
