import { and, asc, desc, eq, gt, lt, ne, sql } from 'drizzle-orm'
import type { SystemTx, TenantTx } from '../../../infra/postgres.ts'
import { creditEntries, creditNotes, invoiceLines, invoiceNumbers, invoices, payments } from './tables.ts'

type Tx = TenantTx | SystemTx
export type InvoiceRow = typeof invoices.$inferSelect
export type LineRow = typeof invoiceLines.$inferSelect
export type CreditNoteRow = typeof creditNotes.$inferSelect
export type PaymentRow = typeof payments.$inferSelect
export type CreditEntryRow = typeof creditEntries.$inferSelect

const named = (organizationId: string, id: string) =>
  and(eq(invoices.organizationId, organizationId), eq(invoices.id, id))

export async function findInvoice(tx: Tx, organizationId: string, id: string): Promise<InvoiceRow | undefined> {
  const [row] = await tx.select().from(invoices).where(named(organizationId, id))
  return row
}

/** Reads an invoice and makes whoever else wants to settle it wait. */
export async function lockInvoice(tx: Tx, organizationId: string, id: string): Promise<InvoiceRow | undefined> {
  const [row] = await tx.select().from(invoices).where(named(organizationId, id)).for('update')
  return row
}

export async function findOfPeriod(tx: Tx, organizationId: string, periodId: string): Promise<InvoiceRow | undefined> {
  const [row] = await tx
    .select()
    .from(invoices)
    .where(and(eq(invoices.organizationId, organizationId), eq(invoices.periodId, periodId)))
  return row
}

/** Invoices newest first; ids sort by the time at which they were made. */
export async function listInvoices(
  tx: Tx,
  organizationId: string,
  { limit, before }: { limit: number; before: string | undefined },
): Promise<InvoiceRow[]> {
  const older = before === undefined ? undefined : lt(invoices.id, before)
  return tx
    .select()
    .from(invoices)
    .where(and(eq(invoices.organizationId, organizationId), older))
    .orderBy(desc(invoices.id))
    .limit(limit)
}

/** Finalized invoices of one organization or of all, by their ids. */
export async function listFinalized(
  tx: SystemTx,
  { organizationId, after, limit }: { organizationId: string | undefined; after: string; limit: number },
): Promise<Pick<InvoiceRow, 'organizationId' | 'id' | 'number'>[]> {
  const ofOne = organizationId === undefined ? undefined : eq(invoices.organizationId, organizationId)
  return tx
    .select({ organizationId: invoices.organizationId, id: invoices.id, number: invoices.number })
    .from(invoices)
    .where(and(ofOne, ne(invoices.status, 'draft'), gt(invoices.id, after)))
    .orderBy(asc(invoices.id))
    .limit(limit)
}

/** The numbers of all invoices by their ids. */
export async function numbersOf(tx: Tx, organizationId: string): Promise<Map<string, string | null>> {
  const rows = await tx
    .select({ id: invoices.id, number: invoices.number })
    .from(invoices)
    .where(eq(invoices.organizationId, organizationId))
  return new Map(rows.map(({ id, number }) => [id, number]))
}

export async function insertDraft(tx: Tx, row: typeof invoices.$inferInsert): Promise<void> {
  await tx.insert(invoices).values({ ...row, status: 'draft', number: null })
}

export async function deleteDraft(tx: Tx, organizationId: string, id: string): Promise<void> {
  await tx.delete(invoices).where(and(named(organizationId, id), eq(invoices.status, 'draft')))
}

/** Makes a draft final: its lines while it still is one, then all that it says. Resolves to whether it was a draft. */
export async function finalizeDraft(
  tx: Tx,
  row: Omit<InvoiceRow, 'createdAt' | 'voidedAt'>,
  lines: (typeof invoiceLines.$inferInsert)[],
): Promise<boolean> {
  await tx.insert(invoiceLines).values(lines)
  const { organizationId, id, ...changed } = row
  const rows = await tx
    .update(invoices)
    .set(changed)
    .where(and(named(organizationId, id), eq(invoices.status, 'draft')))
    .returning({ id: invoices.id })
  return rows.length > 0
}

type Settled = Partial<Pick<InvoiceRow, 'status' | 'paidAt' | 'voidedAt'>>

export async function settle(tx: Tx, { organizationId, id }: InvoiceRow, settled: Settled): Promise<void> {
  await tx.update(invoices).set(settled).where(named(organizationId, id))
}

/** Takes the next number of a sequence; whoever wants one too waits until this transaction is over. */
export async function takeNumber(tx: SystemTx, issuer: string): Promise<bigint> {
  const [row] = await tx
    .insert(invoiceNumbers)
    .values({ issuer, next: 2n })
    .onConflictDoUpdate({ target: invoiceNumbers.issuer, set: { next: sql`${invoiceNumbers.next} + 1` } })
    .returning({ next: invoiceNumbers.next })
  if (!row) throw new Error('the sequence has no row')
  return row.next - 1n
}

export async function listLines(tx: Tx, organizationId: string, invoiceId: string): Promise<LineRow[]> {
  return tx
    .select()
    .from(invoiceLines)
    .where(and(eq(invoiceLines.organizationId, organizationId), eq(invoiceLines.invoiceId, invoiceId)))
    .orderBy(asc(invoiceLines.position))
}

/** Which version of a meter each period was billed by, as `period meter`. */
export async function meterVersions(tx: Tx, organizationId: string): Promise<Map<string, number>> {
  const rows = await tx
    .select({
      periodId: sql<string>`${invoiceLines.source}->>'periodId'`,
      meterKey: invoiceLines.meterKey,
      meterVersion: invoiceLines.meterVersion,
    })
    .from(invoiceLines)
    .where(and(eq(invoiceLines.organizationId, organizationId), eq(invoiceLines.kind, 'usage')))
  return new Map(rows.map((row) => [`${row.periodId} ${row.meterKey}`, row.meterVersion ?? 1]))
}

export async function listCreditNotes(tx: Tx, organizationId: string, invoiceId: string): Promise<CreditNoteRow[]> {
  return tx
    .select()
    .from(creditNotes)
    .where(and(eq(creditNotes.organizationId, organizationId), eq(creditNotes.invoiceId, invoiceId)))
    .orderBy(asc(creditNotes.issuedAt), asc(creditNotes.id))
}

export async function insertCreditNote(tx: Tx, row: CreditNoteRow): Promise<void> {
  await tx.insert(creditNotes).values(row)
}

export async function listPayments(tx: Tx, organizationId: string, invoiceId: string): Promise<PaymentRow[]> {
  return tx
    .select()
    .from(payments)
    .where(and(eq(payments.organizationId, organizationId), eq(payments.invoiceId, invoiceId)))
    .orderBy(asc(payments.receivedAt))
}

/** Writes a payment; undefined where it is written already, with the one that is there. */
export async function insertPayment(tx: Tx, row: PaymentRow): Promise<{ isNew: boolean; payment: PaymentRow }> {
  const [inserted] = await tx.insert(payments).values(row).onConflictDoNothing().returning()
  if (inserted) return { isNew: true, payment: inserted }
  const [known] = await tx
    .select()
    .from(payments)
    .where(
      and(
        eq(payments.organizationId, row.organizationId),
        eq(payments.provider, row.provider),
        eq(payments.reference, row.reference),
      ),
    )
  if (!known) throw new Error('a payment is neither new nor there')
  return { isNew: false, payment: known }
}

/** The newest entry of the credit ledger. */
export async function lastEntry(tx: Tx, organizationId: string): Promise<CreditEntryRow | undefined> {
  const [row] = await tx
    .select()
    .from(creditEntries)
    .where(eq(creditEntries.organizationId, organizationId))
    .orderBy(desc(creditEntries.sequence))
    .limit(1)
  return row
}

export async function listEntries(tx: Tx, organizationId: string): Promise<CreditEntryRow[]> {
  return tx
    .select()
    .from(creditEntries)
    .where(eq(creditEntries.organizationId, organizationId))
    .orderBy(asc(creditEntries.sequence))
}

/** Adds to the ledger; of two at once the second fails on the sequence. */
export async function addEntry(
  tx: Tx,
  entry: Omit<CreditEntryRow, 'sequence' | 'balance' | 'invoiceId' | 'creditNoteId' | 'createdBy'> &
    Partial<Pick<CreditEntryRow, 'invoiceId' | 'creditNoteId' | 'createdBy'>>,
): Promise<CreditEntryRow> {
  const last = await lastEntry(tx, entry.organizationId)
  const row = {
    invoiceId: null,
    creditNoteId: null,
    createdBy: null,
    ...entry,
    sequence: (last?.sequence ?? 0) + 1,
    balance: (last?.balance ?? 0n) + entry.amount,
  }
  await tx.insert(creditEntries).values(row)
  return row
}
