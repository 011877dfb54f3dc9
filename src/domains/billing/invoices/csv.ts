import { csvLine } from '../../audit/index.ts'
import type { InvoiceDocument } from './document.ts'

const COLUMNS = [
  ...['invoice', 'issued_at', 'due_at', 'currency', 'position', 'kind', 'description', 'meter', 'meter_version'],
  ...['from', 'to', 'quantity', 'amount', 'discount', 'net', 'tax', 'total', 'row_count', 'content_hash'],
]

/** The lines of an invoice, amounts in minor units. A cell that a spreadsheet would take for a formula begins with an apostrophe. */
export function invoiceCsv({ number, issuedAt, dueAt, currency, lines }: InvoiceDocument): string {
  const rows = lines.map((line) => [
    ...[number, issuedAt, dueAt, currency, line.position, line.kind, line.description],
    ...[line.meter?.key ?? null, line.meter?.version ?? null, line.from, line.to],
    ...[line.quantity, line.amount, line.discount, line.net, line.tax, line.total].map(asNumber),
    ...[line.rowCount, line.contentHash],
  ])
  return [COLUMNS, ...rows].map(csvLine).join('')
}

const asNumber = (digits: string | null) => (digits === null ? null : BigInt(digits))
