import { sql } from 'drizzle-orm'
import {
  type AnyPgColumn,
  bigint,
  foreignKey,
  integer,
  jsonb,
  pgPolicy,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
} from 'drizzle-orm/pg-core'
import { systemRole, tenantPolicies } from '../../../infra/tenancy.ts'

const time = (name: string) => timestamp(name, { withTimezone: true, precision: 3 })
/** Minor units of the currency. */
const amount = (name: string) => bigint(name, { mode: 'bigint' })
const zeroAmount = (name: string) => amount(name).notNull().default(sql`0`)

export const INVOICE_STATUSES = ['draft', 'open', 'paid', 'void', 'uncollectible'] as const
export const INVOICE_REASONS = ['period', 'start', 'change', 'manual'] as const

/**
 * What was billed. Once a row is no draft any more, a trigger lets only its status and the times of it change, and nobody delete it.
 * It has no foreign key: books are kept when the organization is gone.
 */
export const invoices = pgTable(
  'invoices',
  {
    organizationId: text('organization_id').notNull(),
    id: text().notNull(),
    /** Of one sequence for all organizations, without a gap; a draft has none. */
    number: text(),
    status: text({ enum: INVOICE_STATUSES }).notNull().default('draft'),
    reason: text({ enum: INVOICE_REASONS }).notNull(),
    subscriptionId: text('subscription_id'),
    /** The period that it closes; NULL for one that bills charges alone. */
    periodId: text('period_id'),
    currency: text().notNull(),
    cutOff: time('cut_off').notNull(),
    /** Canonical JSON: what a later run has to come to, byte by byte. */
    document: text().notNull(),
    contentHash: text('content_hash').notNull(),
    amount: zeroAmount('amount'),
    discount: zeroAmount('discount'),
    net: zeroAmount('net'),
    tax: zeroAmount('tax'),
    total: zeroAmount('total'),
    creditApplied: zeroAmount('credit_applied'),
    amountDue: zeroAmount('amount_due'),
    /** The newest entry of the credit ledger when it was made, 0 for none: times cannot tell which of two came first. */
    creditSequence: integer('credit_sequence').notNull().default(0),
    createdAt: time('created_at').notNull(),
    issuedAt: time('issued_at'),
    dueAt: time('due_at'),
    paidAt: time('paid_at'),
    voidedAt: time('voided_at'),
  },
  (table) => [
    primaryKey({ name: 'invoices_pk', columns: [table.organizationId, table.id] }),
    // Of two that close one period the second is refused, whoever makes it. NULL is never the same.
    unique('invoices_period').on(table.organizationId, table.periodId, table.reason),
    unique('invoices_number').on(table.organizationId, table.number),
    ...tenantPolicies(table.organizationId),
  ],
)

const ofInvoice = (name: string, organizationId: AnyPgColumn, invoiceId: AnyPgColumn) =>
  foreignKey({
    name,
    columns: [organizationId, invoiceId],
    foreignColumns: [invoices.organizationId, invoices.id],
  }).onDelete('cascade')

/** The lines of a finalized invoice. They are written while it is a draft, and neither role may change or delete one. */
export const invoiceLines = pgTable(
  'invoice_lines',
  {
    organizationId: text('organization_id').notNull(),
    invoiceId: text('invoice_id').notNull(),
    /** From 1, as they stand on the invoice. */
    position: integer().notNull(),
    kind: text().notNull(),
    description: text().notNull(),
    meterKey: text('meter_key'),
    meterVersion: integer('meter_version'),
    fromAt: time('from_at'),
    toAt: time('to_at'),
    /** A whole number. */
    quantity: text(),
    amount: amount('amount').notNull(),
    discount: amount('discount').notNull(),
    net: amount('net').notNull(),
    tax: amount('tax').notNull(),
    total: amount('total').notNull(),
    /** How many events the quantity was measured from, and a hash of them whatever their order. */
    rowCount: text('row_count'),
    contentHash: text('content_hash'),
    /** What it was computed from. */
    source: jsonb().$type<Record<string, unknown>>().notNull(),
  },
  (table) => [
    primaryKey({ name: 'invoice_lines_pk', columns: [table.organizationId, table.invoiceId, table.position] }),
    ofInvoice('invoice_lines_invoice', table.organizationId, table.invoiceId),
    ...tenantPolicies(table.organizationId),
  ],
)

/** The next number of each sequence. Whoever takes one holds the row until it commits, so that none is lost and none given twice. */
export const invoiceNumbers = pgTable(
  'invoice_numbers',
  {
    issuer: text().primaryKey(),
    next: bigint({ mode: 'bigint' }).notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  () => [pgPolicy('system', { for: 'all', to: systemRole, using: sql`true`, withCheck: sql`true` })],
)

/** What of an invoice is taken back; together never more than its total. Amounts are positive. */
export const creditNotes = pgTable(
  'credit_notes',
  {
    organizationId: text('organization_id').notNull(),
    id: text().notNull(),
    number: text().notNull(),
    invoiceId: text('invoice_id').notNull(),
    reason: text().notNull(),
    net: amount('net').notNull(),
    tax: amount('tax').notNull(),
    total: amount('total').notNull(),
    /** How much of it lowered what was still to be paid; the rest became credit. */
    settled: amount('settled').notNull(),
    issuedAt: time('issued_at').notNull(),
    /** Id of the operator. */
    createdBy: text('created_by').notNull(),
  },
  (table) => [
    primaryKey({ name: 'credit_notes_pk', columns: [table.organizationId, table.id] }),
    unique('credit_notes_number').on(table.organizationId, table.number),
    ofInvoice('credit_notes_invoice', table.organizationId, table.invoiceId),
    ...tenantPolicies(table.organizationId),
  ],
)

/** What was paid. One reference of a provider is one payment, however often it is told. */
export const payments = pgTable(
  'payments',
  {
    organizationId: text('organization_id').notNull(),
    id: text().notNull(),
    invoiceId: text('invoice_id').notNull(),
    provider: text({ enum: ['manual', 'stripe'] }).notNull(),
    reference: text().notNull(),
    amount: amount('amount').notNull(),
    currency: text().notNull(),
    receivedAt: time('received_at').notNull(),
    /** Id of the operator; NULL where a provider told. */
    createdBy: text('created_by'),
  },
  (table) => [
    primaryKey({ name: 'payments_pk', columns: [table.organizationId, table.id] }),
    unique('payments_reference').on(table.organizationId, table.provider, table.reference),
    ofInvoice('payments_invoice', table.organizationId, table.invoiceId),
    ...tenantPolicies(table.organizationId),
  ],
)

/** What an organization has in credit, entry by entry; the last balance is what there is. */
export const creditEntries = pgTable(
  'credit_entries',
  {
    organizationId: text('organization_id').notNull(),
    /** 1, 2, 3 … without a gap. Two entries at once meet here. */
    sequence: integer().notNull(),
    id: text().notNull(),
    /** What it adds, or takes where it is negative. */
    amount: amount('amount').notNull(),
    balance: amount('balance').notNull(),
    currency: text().notNull(),
    reason: text().notNull(),
    invoiceId: text('invoice_id'),
    creditNoteId: text('credit_note_id'),
    createdAt: time('created_at').notNull(),
    /** Id of the operator; NULL for what an invoice did. */
    createdBy: text('created_by'),
  },
  (table) => [
    primaryKey({ name: 'credit_entries_pk', columns: [table.organizationId, table.sequence] }),
    ...tenantPolicies(table.organizationId),
  ],
)
