import { isDeepStrictEqual } from 'node:util'
import type { Postgres, TenantTx } from '../../../../infra/postgres.ts'
import { invoiceNotFound, invoiceStateWrong } from '../../errors.ts'
import { buildInvoice, type InvoiceInput } from '../build.ts'
import { canonicalText, contentHashOf } from '../canonical.ts'
import { amountsOf, chargesInput, lineRows, periodInput } from '../compose.ts'
import { type Difference, differencesOf } from '../difference.ts'
import type { InvoiceDocument } from '../document.ts'
import { createGathering, type Measurement, type Meters, measurementOf, type Plans } from '../gathering.ts'
import * as sources from '../sources/store.ts'
import * as store from '../store.ts'

interface Dependencies {
  postgres: Postgres
  meters: Meters
  plans: Plans
  /** The midnight from which on each project of the organization has all of its events; absent are those that have all that came. */
  keptFromMs: (tx: TenantTx) => Promise<Map<string, number>>
}

export interface Verification {
  /** Whether the second run came to the same bytes, and the rows say what the document says. */
  same: boolean
  /** Whether the events are there that it was measured from. Without them only what is written can be held against itself. */
  evidence: 'kept' | 'erased'
  differences: Difference[]
}

const PAGE = 100

export type VerifyingService = ReturnType<typeof createVerifyingService>

/**
 * Computes a finalized invoice once more: from plan versions, charges, coupons, credit and the events themselves, with the cut-off, the
 * parties, the collector, the tax rate and the earlier uses of coupons that it was issued with. Nothing of what it says about amounts or quantities is read.
 */
export function createVerifyingService({ postgres, meters, plans, keptFromMs }: Dependencies) {
  const gathering = createGathering({ meters, plans })

  /** What is known about an invoice before any event is read. */
  async function read(tx: TenantTx, organizationId: string, invoiceId: string) {
    const row = await store.findInvoice(tx, organizationId, invoiceId)
    if (!row) throw invoiceNotFound('There is no such invoice.')
    if (row.status === 'draft') throw invoiceStateWrong('A draft says nothing yet that could be verified.')
    const document = JSON.parse(row.document) as InvoiceDocument
    const charges = await sources.listInvoicedCharges(tx, organizationId, invoiceId)
    const lines = await store.listLines(tx, organizationId, invoiceId)
    const period = row.periodId === null ? undefined : await sources.findPeriod(tx, organizationId, row.periodId)
    const redeemed = await sources.listCoupons(tx, organizationId)
    const facts = {
      collectedBy: document.collectedBy ?? null,
      buyer: document.buyer,
      taxBasisPoints: BigInt(document.taxBasisPoints),
      currency: document.currency,
      charges,
      coupons: redeemed.flatMap((one) => placed(one, document)),
      credit: creditBefore(row, await store.listEntries(tx, organizationId)),
    }
    return {
      row,
      document,
      lines,
      facts,
      period,
      measurement: period && (await readMeasurement(tx, row, period, document)),
    }
  }

  async function readMeasurement(
    tx: TenantTx,
    { organizationId, cutOff }: store.InvoiceRow,
    period: sources.PeriodRow,
    document: InvoiceDocument,
  ): Promise<Measurement> {
    const periods = await sources.listPeriods(tx, organizationId)
    const numbers = await store.numbersOf(tx, organizationId)
    const measurement = measurementOf(period, { periods, numbers, versions: versionsOf(document) }, cutOff)
    return { ...measurement, isRerun: true }
  }

  /** Whether the time has erased events that an invoice was measured from. Asked after they were read: what is erased is written down before. */
  async function isErased(organizationId: string, { lines }: InvoiceDocument): Promise<boolean> {
    const measured = lines.flatMap(({ meter, from }) => (meter && from ? [Date.parse(from)] : []))
    const kept = await postgres.withTenant(organizationId, keptFromMs)
    return Math.min(...measured) < Math.max(0, ...kept.values())
  }

  return {
    /** All finalized invoices, of one organization or of all, in the order of their ids. */
    async *listInvoices(organizationId?: string) {
      for (let after = ''; ; ) {
        const page = { organizationId, after, limit: PAGE }
        const rows = await postgres.withSystem((tx) => store.listFinalized(tx, page))
        yield* rows
        const last = rows.at(-1)
        if (!last || rows.length < PAGE) return
        after = last.id
      }
    },

    async verify(organizationId: string, invoiceId: string): Promise<Verification> {
      const found = await postgres.withTenant(organizationId, (tx) => read(tx, organizationId, invoiceId))
      const { row, document, lines, facts, period, measurement } = found
      const { seller } = document
      let input: InvoiceInput
      if (period && measurement) {
        const measurements = await gathering.measure(organizationId, period, measurement)
        input = periodInput({ seller, subscriptionId: period.subscriptionId, facts, measurements, measurement })
      } else input = chargesInput(facts, seller)
      const computed = buildInvoice({ ...input, issue: issueOf(row) })
      const differences = faultsOf(row, lines, document, computed)
      if (differences.length === 0) return { same: true, evidence: 'kept', differences }
      if (!(await isErased(organizationId, document))) return { same: false, evidence: 'kept', differences }
      return { same: false, evidence: 'erased', differences: faultsOf(row, lines, document, document) }
    },
  }
}

/** Where an invoice as it is stored says something else than it should. */
function faultsOf(row: store.InvoiceRow, lines: store.LineRow[], document: InvoiceDocument, expected: InvoiceDocument) {
  const text = canonicalText(expected)
  const hash = contentHashOf(text)
  const differences = differencesOf(document, expected)
  const isExplained = row.document === text || (differences.length > 0 && row.document === canonicalText(document))
  return [
    ...differences,
    ...(isExplained ? [] : [fault('', row.document, text)]),
    ...(row.contentHash === hash ? [] : [fault('/contentHash', row.contentHash, hash)]),
    ...rowDifferences(row, lines, expected),
  ]
}

/** The rows repeat the document for queries, and must say the same. */
function rowDifferences(row: store.InvoiceRow, lines: store.LineRow[], computed: InvoiceDocument): Difference[] {
  const amounts = Object.entries(amountsOf(computed)).flatMap(([name, amount]) => {
    const stored = row[name as keyof ReturnType<typeof amountsOf>]
    return stored === amount ? [] : [fault(`/row/${name}`, String(stored), String(amount))]
  })
  const expected = lineRows(row.organizationId, row.id, computed)
  const count = Math.max(lines.length, expected.length)
  const changed = Array.from({ length: count }, (_, index) => index).flatMap((index) => {
    const same = isDeepStrictEqual(lines[index], expected[index])
    return same ? [] : [fault(`/rows/${index}`, describe(lines[index]), describe(expected[index]))]
  })
  return [...amounts, ...changed]
}

const fault = (path: string, stored: string, computed: string): Difference => ({ path, stored, computed })

const describe = (value: object | undefined): string =>
  value ? JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? inner.toString() : inner)) : '(absent)'

const issueOf = ({ number, issuedAt, dueAt }: store.InvoiceRow) =>
  number !== null && issuedAt && dueAt ? { number, issuedAt, dueAt } : null

/** Meters go on to change; an invoice was measured by the versions that its lines name. */
function versionsOf({ lines }: InvoiceDocument): Map<string, number> {
  const pairs = lines.flatMap(({ meter, source }): [string, number][] =>
    meter && source.kind !== 'charge' ? [[`${source.periodId} ${meter.key}`, meter.version]] : [],
  )
  return new Map(pairs)
}

/** What there was in credit when the invoice was made. */
const creditBefore = ({ creditSequence }: store.InvoiceRow, entries: readonly store.CreditEntryRow[]): bigint =>
  entries.find(({ sequence }) => sequence === creditSequence)?.balance ?? 0n

/** A coupon as it counted on an invoice: where else it was used by then, only the document says. */
function placed<Redeemed extends { id: string }>(one: Redeemed, { coupons }: InvoiceDocument) {
  const written = coupons.find(({ id }) => id === one.id)
  return written ? [{ ...one, period: BigInt(written.period) }] : []
}
