import type { Postgres, TenantTx } from '../../../infra/postgres.ts'
import { invoiceNotFound, lineNotMeasured, noPeriod } from '../errors.ts'
import { buildInvoice } from './build.ts'
import { periodInput } from './compose.ts'
import { couponsOn } from './coupon-uses.ts'
import type { InvoiceDocument, InvoiceLine, Seller } from './document.ts'
import {
  createGathering,
  cutOffOf,
  graceOf,
  type Measurement,
  type Meters,
  measurementOf,
  type Plans,
} from './gathering.ts'
import * as sources from './sources/store.ts'
import * as store from './store.ts'

interface Dependencies {
  postgres: Postgres
  meters: Meters
  plans: Plans
  seller: Seller
  graceMs: number
  clock: () => Date
}

export type InvoicesService = ReturnType<typeof createInvoicesService>

/** An invoice with what became of it. */
export interface FoundInvoice {
  row: store.InvoiceRow
  document: InvoiceDocument
  payments: store.PaymentRow[]
  creditNotes: store.CreditNoteRow[]
}

/** What organizations see of their invoices. */
export function createInvoicesService({ postgres, meters, plans, seller, graceMs, clock }: Dependencies) {
  const gathering = createGathering({ meters, plans })

  async function read(organizationId: string, invoiceId: string): Promise<FoundInvoice> {
    return postgres.withTenant(organizationId, async (tx) => {
      const row = await store.findInvoice(tx, organizationId, invoiceId)
      if (!row) throw invoiceNotFound('There is no such invoice.')
      return {
        row,
        document: JSON.parse(row.document) as InvoiceDocument,
        payments: await store.listPayments(tx, organizationId, invoiceId),
        creditNotes: await store.listCreditNotes(tx, organizationId, invoiceId),
      }
    })
  }

  /** The first period that is not billed yet, or a named one, and what its events have to be asked for. */
  async function nextPeriod(tx: TenantTx, organizationId: string, asked: Date | undefined, periodId?: string) {
    const all = await sources.listPeriods(tx, organizationId)
    const isMeant = ({ id, status }: sources.PeriodRow) => status !== 'invoiced' && (!periodId || id === periodId)
    const period = all.find(isMeant)
    // A period that is over but not billed yet brings its events to its own invoice: none of them is late for a later one.
    const periods = all.filter(({ id, status }) => status === 'invoiced' || id === period?.id)
    if (!period) throw noPeriod('Nothing is being used at the moment, so nothing will be billed.')
    const known = {
      periods,
      versions: await store.meterVersions(tx, organizationId),
      numbers: await store.numbersOf(tx, organizationId),
    }
    const measurement: Measurement = measurementOf(period, known, period.endsAt)
    const now = clock()
    const collectedBy = await sources.collectorOf(tx, organizationId, period.id)
    const cutOff =
      asked ?? (period.status === 'ended' ? cutOffOf(period, measurement, graceOf(collectedBy, graceMs)) : now)
    const charges = await sources.listPeriodCharges(tx, organizationId, period.id)
    const stored = await sources.readFacts(tx, organizationId, { charges, collectedBy, forecastOf: period.id })
    const beginsUnknown = period.status === 'open' && (await sources.isFollowed(tx, period))
    const coupons = couponsOn({ periodId: period.id, charges, at: period.endsAt, beginsUnknown }, stored.coupons)
    return {
      period,
      measurement: { ...measurement, cutOff: new Date(Math.min(cutOff.getTime(), now.getTime())) },
      facts: { ...stored, coupons },
    }
  }

  return {
    read,

    /** Drafts too; newest first. */
    async list(organizationId: string, { limit, cursor }: { limit: number; cursor?: string | undefined }) {
      const page = { limit: limit + 1, before: cursor }
      const rows = await postgres.withTenant(organizationId, (tx) => store.listInvoices(tx, organizationId, page))
      const data = rows.slice(0, limit)
      return { data, nextCursor: rows.length > limit ? (data.at(-1)?.id ?? null) : null }
    },

    /**
     * The next invoice as it would be with what has come until the cut-off, which is now unless the past is asked for. With the cut-off of
     * a finalized one it says the same but for number and dates.
     */
    async preview(organizationId: string, { cutOff }: { cutOff?: Date | undefined } = {}): Promise<InvoiceDocument> {
      const { period, measurement, facts } = await postgres.withTenant(organizationId, (tx) =>
        nextPeriod(tx, organizationId, cutOff),
      )
      const measurements = await gathering.measure(organizationId, period, measurement)
      const { subscriptionId } = period
      return buildInvoice(periodInput({ seller, subscriptionId, facts, measurements, measurement }))
    },

    /**
     * What a period that is not billed yet comes to by what was received until now, and would come to with other quantities. Prices,
     * charges and coupons are those of its invoice.
     */
    async estimate(organizationId: string, periodId: string) {
      const { period, measurement, facts } = await postgres.withTenant(organizationId, (tx) =>
        nextPeriod(tx, organizationId, undefined, periodId),
      )
      const measured = await gathering.measure(organizationId, period, measurement)
      const { subscriptionId } = period
      const comesTo = (quantityOf: (meterKey: string) => bigint | undefined) => {
        const usages = measured.usages.map((usage) => {
          const quantity = quantityOf(usage.meter) ?? usage.measured.quantity
          return { ...usage, measured: { ...usage.measured, quantity } }
        })
        const measurements = { ...measured, usages }
        return buildInvoice(periodInput({ seller, subscriptionId, facts, measurements, measurement }))
      }
      return { soFar: comesTo(() => undefined), comesTo }
    },

    /** A line that was measured from events, with the question that gives exactly these; throws 404 for any other. */
    async measuredLine(organizationId: string, invoiceId: string, position: number) {
      const { document } = await read(organizationId, invoiceId)
      const line = document.lines.find((one) => one.position === position)
      if (!line) throw lineNotMeasured('The invoice has no such line.')
      return { line, question: questionOf(line) }
    },
  }
}

/** Which events a line was measured from. Those of an adjustment came between two cut-offs. */
export function questionOf({ meter, from, to, source }: InvoiceLine) {
  if (!meter || from === null || to === null || source.kind === 'charge')
    throw lineNotMeasured('The line is a charge, which was not measured.')
  return {
    meterKey: meter.key,
    meterVersion: meter.version,
    from: new Date(from),
    to: new Date(to),
    receivedThrough: new Date(source.receivedThrough),
    ...(source.kind === 'adjustment' && { receivedAfter: new Date(source.receivedAfter) }),
  }
}
