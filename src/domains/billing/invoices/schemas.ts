import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { CursorQuery, LimitQuery, OrganizationParams, TimeInput } from '../../../http/schemas.ts'
import { InvoiceDocument, InvoiceLine } from './document.ts'

const orNull = <Schema extends TSchema>(schema: Schema, description = '') =>
  Type.Union([schema, Type.Null()], description ? { description } : {})
const Amount = Type.String({ description: 'Minor units of the currency.' })
const Time = Type.String({ format: 'date-time' })

export const InvoiceParams = Type.Object({
  ...OrganizationParams.properties,
  invoiceId: Type.String({
    pattern: '^inv_[0-9a-z]{26}$',
    description: 'Id of the invoice.',
    examples: ['inv_01jd7z3k9qf8v0m4c2t6n5w1xy'],
  }),
})

export const LineParams = Type.Object({
  ...InvoiceParams.properties,
  position: Type.Integer({ minimum: 1, maximum: 100_000, description: 'Position of the line.', examples: [1] }),
})

export const ListQuery = Type.Object(
  { limit: LimitQuery, cursor: Type.Optional(CursorQuery) },
  { additionalProperties: false },
)

export const PreviewQuery = Type.Object(
  {
    cutOff: Type.Optional(
      Type.Union(TimeInput.anyOf, { description: 'Leave out what was received later. By default now.' }),
    ),
  },
  { additionalProperties: false },
)

export const PARTS = ['hour', 'project', 'event'] as const
export const PartsQuery = Type.Object(
  {
    by: Type.Union(
      PARTS.map((part) => Type.Literal(part)),
      { default: 'hour', description: 'What to split the line by.' },
    ),
  },
  { additionalProperties: false },
)

const Summary = {
  id: Type.String(),
  number: orNull(Type.String(), 'Of one sequence without gaps; null for a draft.'),
  status: Type.String({ description: 'draft, open, paid, void or uncollectible.' }),
  reason: Type.String({ description: 'period, start, change or manual.' }),
  periodId: orNull(Type.String(), 'The period that it closes.'),
  currency: Type.String(),
  net: Amount,
  tax: Amount,
  total: Amount,
  creditApplied: Amount,
  amountDue: Amount,
  createdAt: Time,
  issuedAt: orNull(Time),
  dueAt: orNull(Time),
  paidAt: orNull(Time),
  voidedAt: orNull(Time),
  contentHash: Type.String({ description: 'SHA-256 of the canonical document.' }),
}
const SUMMARY_EXAMPLE = {
  id: 'inv_01jd7z3k9qf8v0m4c2t6n5w1xy',
  number: 'INV-000042',
  status: 'open',
  reason: 'period',
  periodId: 'bpr_01jd7z3k9qf8v0m4c2t6n5w1xy',
  currency: 'USD',
  net: '6340',
  tax: '1205',
  total: '7545',
  creditApplied: '0',
  amountDue: '7545',
  createdAt: '2026-02-01T00:00:10.000Z',
  issuedAt: '2026-02-02T00:05:10.000Z',
  dueAt: '2026-03-04T00:05:10.000Z',
  paidAt: null,
  voidedAt: null,
  contentHash: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
}
const LINE_EXAMPLE: InvoiceLine = {
  position: 1,
  kind: 'usage',
  description: 'Pro: events',
  meter: { key: 'events', version: 1 },
  from: '2026-01-01T00:00:00.000Z',
  to: '2026-02-01T00:00:00.000Z',
  quantity: '6200000',
  rowCount: '6200000',
  contentHash: '00000000000000000000000000000000000000000000000000005d41402abc4b',
  tiers: [
    {
      from: '5000000',
      to: '6200000',
      quantity: '1200000',
      unitAmount: '0.0012',
      per: '1',
      flatAmount: '0',
      amount: '1440',
    },
  ],
  topUp: '0',
  amount: '1440',
  discount: '0',
  net: '1440',
  tax: '274',
  total: '1714',
  source: {
    kind: 'usage',
    periodId: 'bpr_01jd7z3k9qf8v0m4c2t6n5w1xy',
    plan: { key: 'pro', version: 1, isCustom: false, name: 'Pro' },
    isTrial: false,
    receivedThrough: '2026-02-02T00:00:00.000Z',
  },
}
export const DOCUMENT_EXAMPLE: InvoiceDocument = {
  format: 'meterhouse.invoice.1',
  number: 'INV-000042',
  issuedAt: '2026-02-02T00:05:10.000Z',
  dueAt: '2026-03-04T00:05:10.000Z',
  reason: 'period',
  currency: 'USD',
  seller: { name: 'Meterhouse', address: [], taxId: null },
  buyer: { organizationId: 'org_01jd7z3k9qf8v0m4c2t6n5w1xy', name: 'Acme', address: [], taxId: null, email: null },
  subscriptionId: 'sub_01jd7z3k9qf8v0m4c2t6n5w1xy',
  period: null,
  cutOff: '2026-02-02T00:00:00.000Z',
  previousCutOff: null,
  lines: [LINE_EXAMPLE],
  coupons: [],
  taxBasisPoints: '1900',
  amount: '1440',
  discount: '0',
  net: '1440',
  tax: '274',
  total: '1714',
  creditApplied: '0',
  amountDue: '1714',
}

export const InvoiceSummary = Type.Object(Summary)
export type InvoiceSummary = Static<typeof InvoiceSummary>
export const InvoicePage = Type.Object(
  { data: Type.Array(InvoiceSummary), nextCursor: orNull(Type.String()) },
  { description: 'One page of invoices, newest first.', examples: [{ data: [SUMMARY_EXAMPLE], nextCursor: null }] },
)

const Payment = Type.Object({
  id: Type.String(),
  provider: Type.String(),
  reference: Type.String(),
  amount: Amount,
  receivedAt: Time,
})
const CREDIT_NOTE_EXAMPLE = {
  id: 'crn_01jd7z3k9qf8v0m4c2t6n5w1xy',
  number: 'CRN-000007',
  reason: 'An outage of two days.',
  net: '841',
  tax: '159',
  total: '1000',
  settled: '1000',
  issuedAt: '2026-02-10T09:00:00.000Z',
}
export const CreditNote = Type.Object(
  {
    id: Type.String(),
    number: Type.String(),
    reason: Type.String(),
    net: Amount,
    tax: Amount,
    total: Amount,
    settled: Type.String({ description: 'What of it lowered what was to be paid; the rest became credit.' }),
    issuedAt: Time,
  },
  { description: 'The credit note.', examples: [CREDIT_NOTE_EXAMPLE] },
)
export type CreditNote = Static<typeof CreditNote>

export const Invoice = Type.Object(
  {
    ...Summary,
    document: InvoiceDocument,
    payments: Type.Array(Payment),
    creditNotes: Type.Array(CreditNote),
  },
  {
    description: 'The invoice, what it says, and what became of it.',
    examples: [{ ...SUMMARY_EXAMPLE, document: DOCUMENT_EXAMPLE, payments: [], creditNotes: [CREDIT_NOTE_EXAMPLE] }],
  },
)
export type Invoice = Static<typeof Invoice>

export const Preview = Type.Object(InvoiceDocument.properties, {
  description: 'The next invoice as it is now.',
  examples: [{ ...DOCUMENT_EXAMPLE, number: null, issuedAt: null, dueAt: null }],
})

export const Verification = Type.Object(
  {
    same: Type.Boolean({ description: 'Whether a second run came to the same bytes.' }),
    evidence: Type.Union([Type.Literal('kept'), Type.Literal('erased')], {
      description:
        'Erased: events that it was measured from are older than they are kept, so it cannot be computed again; the differences are then those within what is stored.',
    }),
    differences: Type.Array(
      Type.Object({
        path: Type.String({ description: 'JSON pointer into the document.' }),
        stored: Type.String(),
        computed: Type.String(),
      }),
    ),
  },
  { description: 'What a second run came to.', examples: [{ same: true, evidence: 'kept', differences: [] }] },
)

const PART_EXAMPLE = {
  key: '2026-01-01T00:00:00.000Z',
  value: '8400',
  rowCount: '8400',
  contentHash: '00000000000000000000000000000000000000000000000000005d41402abc4b',
}
export const LineParts = Type.Object(
  {
    line: InvoiceLine,
    data: Type.Array(
      Type.Object({
        key: Type.String({ description: 'Start of the hour, id of the project, or name of the event.' }),
        value: Type.String({ description: 'What the meter says of the part, decimal.' }),
        rowCount: Type.String({ description: 'Events in it.' }),
        contentHash: Type.String({ description: 'Hashes of the parts sum to that of the line.' }),
      }),
    ),
  },
  { description: 'What the line is made of.', examples: [{ line: LINE_EXAMPLE, data: [PART_EXAMPLE] }] },
)
