import { newId } from '../../../../ids.ts'
import { failpoint } from '../../../../infra/failpoints.ts'
import { append } from '../../../../infra/outbox.ts'
import type { Postgres, SystemTx } from '../../../../infra/postgres.ts'
import { record } from '../../../audit/index.ts'
import { buildInvoice, type InvoiceInput, isEmpty } from '../build.ts'
import { canonicalText, contentHashOf } from '../canonical.ts'
import { amountsOf, chargesInput, lineRows, periodInput } from '../compose.ts'
import { couponsOn } from '../coupon-uses.ts'
import type { InvoiceDocument, Seller } from '../document.ts'
import { INVOICE_FINALIZED, INVOICE_PAID } from '../fact-kinds.ts'
import {
  createGathering,
  cutOffOf,
  graceOf,
  type Measurement,
  type Meters,
  measurementOf,
  type Plans,
} from '../gathering.ts'
import { numberOf } from '../number.ts'
import * as sources from '../sources/store.ts'
import * as store from '../store.ts'

export interface IssuingOptions {
  seller: Seller
  /** What numbers begin with. */
  numberPrefix: string
  dueMs: number
  /** How long after the end of a period its events may come and still be on its invoice. */
  graceMs: number
}

interface Dependencies extends IssuingOptions {
  postgres: Postgres
  meters: Meters
  plans: Plans
  /** Up to when everything that an organization's events were accepted is stored. */
  storedThrough: (organizationId: string) => Promise<Date>
  clock: () => Date
}

const PAGE = 100
/** A request may be on its way for a minute after its receipt was noted, and clocks differ. */
const ON_THE_WAY_MS = 300_000

export type IssuingService = ReturnType<typeof createIssuingService>

/**
 * Makes invoices of what is over. An invoice, its number, its lines, its charges and the closing of its period are one transaction, so that
 * whoever dies leaves either all of it or nothing; a second process finds the period closed.
 */
export function createIssuingService(options: Dependencies) {
  const { postgres, clock, seller } = options
  const gathering = createGathering(options)

  /** What the events of a period have to be asked for. */
  async function readMeasurement(period: sources.PeriodRow): Promise<Measurement> {
    const { organizationId } = period
    const known = await postgres.withSystem(async (tx) => ({
      periods: await sources.listPeriods(tx, organizationId),
      versions: await store.meterVersions(tx, organizationId),
      numbers: await store.numbersOf(tx, organizationId),
      collectedBy: await sources.collectorOf(tx, organizationId, period.id),
    }))
    const measurement = measurementOf(period, known, period.endsAt)
    return { ...measurement, cutOff: cutOffOf(period, measurement, graceOf(known.collectedBy, options.graceMs)) }
  }

  /** Drafts the invoice of a period that is over, and finalizes it once everything through its cut-off is stored. */
  async function invoicePeriod(period: sources.PeriodRow): Promise<boolean> {
    const { organizationId, subscriptionId } = period
    const measurement = await readMeasurement(period)
    const settledAt = new Date(measurement.cutOff.getTime() + ON_THE_WAY_MS)
    const isDue = clock() >= settledAt && (await options.storedThrough(organizationId)) >= settledAt
    if (!isDue && period.cutOff) return false
    const measurements = await gathering.measure(organizationId, period, measurement)
    failpoint('invoices.measured')
    return postgres.withSystem(async (tx) => {
      await sources.lockAccount(tx, organizationId)
      const now = await sources.findPeriod(tx, organizationId, period.id)
      if (now?.status !== 'ended') return false
      // Charges are billed first, also where that failed and is tried again: what coupons and credit are left depends on the order.
      if (isDue && (await sources.listChargesDue(tx, organizationId)).length > 0) return false
      const charges = await sources.listPeriodCharges(tx, organizationId, period.id)
      const collectedBy = await sources.collectorOf(tx, organizationId, period.id)
      const stored = await sources.readFacts(tx, organizationId, { charges, collectedBy })
      const coupons = couponsOn({ periodId: period.id, charges, at: period.endsAt }, stored.coupons)
      const facts = { ...stored, coupons }
      const input = periodInput({ seller, subscriptionId, facts, measurements, measurement })
      return isDue ? close(tx, period, input, facts.creditSequence) : draft(tx, period, input)
    })
  }

  /** Shows what the invoice will come to. It is made anew when it is finalized. */
  async function draft(tx: SystemTx, period: sources.PeriodRow, input: InvoiceInput): Promise<boolean> {
    const { organizationId, id: periodId } = period
    await sources.updatePeriod(tx, period, { cutOff: input.cutOff })
    if (isEmpty(buildInvoice(input)) || (await store.findOfPeriod(tx, organizationId, periodId))) return false
    await insertDraft(tx, { organizationId, invoiceId: newId('inv', clock().getTime()), periodId, input })
    return false
  }

  /** Closes a period for good, with an invoice unless there is nothing to bill. */
  async function close(
    tx: SystemTx,
    period: sources.PeriodRow,
    input: InvoiceInput,
    creditSequence: number,
  ): Promise<boolean> {
    const { organizationId, id: periodId } = period
    const drafted = await store.findOfPeriod(tx, organizationId, periodId)
    const closed = { status: 'invoiced', cutOff: input.cutOff } as const
    if (isEmpty(buildInvoice(input))) {
      if (drafted) await store.deleteDraft(tx, organizationId, drafted.id)
      await sources.updatePeriod(tx, period, closed)
      return true
    }
    const made = { organizationId, invoiceId: drafted?.id ?? newId('inv', clock().getTime()), periodId, input }
    if (!drafted) await insertDraft(tx, made)
    await sources.updatePeriod(tx, period, { ...closed, invoiceId: made.invoiceId })
    await finalize(tx, { ...made, creditSequence })
    return true
  }

  /** Bills charges of an organization that do not wait for the end of a period; those of each collector apart. */
  async function invoiceCharges(organizationId: string): Promise<boolean> {
    return postgres.withSystem(async (tx) => {
      await sources.lockAccount(tx, organizationId)
      const { charges, collectedBy } = await firstClaim(tx, organizationId)
      const last = charges.at(-1)
      if (!last) return false
      const stored = await sources.readFacts(tx, organizationId, { charges, collectedBy })
      const coupons = couponsOn({ periodId: null, charges, at: last.createdAt }, stored.coupons)
      const invoiceId = newId('inv', clock().getTime())
      const made = { organizationId, invoiceId, periodId: null, input: chargesInput({ ...stored, coupons }, seller) }
      await insertDraft(tx, made)
      await finalize(tx, { ...made, creditSequence: stored.creditSequence })
      return true
    })
  }

  /** What is due and makes one claim: all that is paid by hand, or what Stripe bills with one period. */
  async function firstClaim(tx: SystemTx, organizationId: string) {
    const due = await sources.listChargesDue(tx, organizationId)
    const collectors = new Map<string, 'stripe' | null>()
    for (const { periodId } of due) collectors.set(periodId, await sources.collectorOf(tx, organizationId, periodId))
    const first = due[0]?.periodId ?? ''
    const collectedBy = collectors.get(first) ?? null
    const isOf = (periodId: string) => (collectedBy ? periodId === first : !collectors.get(periodId))
    return { charges: due.filter(({ periodId }) => isOf(periodId)), collectedBy }
  }

  interface Made {
    organizationId: string
    invoiceId: string
    periodId: string | null
    input: InvoiceInput
  }

  async function insertDraft(tx: SystemTx, { organizationId, invoiceId, periodId, input }: Made): Promise<void> {
    const document = buildInvoice(input)
    await store.insertDraft(tx, {
      ...rowOf(document, input),
      organizationId,
      id: invoiceId,
      periodId,
      createdAt: clock(),
    })
  }

  async function finalize(tx: SystemTx, made: Made & { creditSequence: number }): Promise<void> {
    const { organizationId, invoiceId, periodId, input, creditSequence } = made
    const issuedAt = clock()
    const dueAt = new Date(issuedAt.getTime() + options.dueMs)
    const chargeIds = input.charges.map(({ id }) => id)
    await sources.markCharges(tx, organizationId, chargeIds, invoiceId)
    const number = numberOf(options.numberPrefix, await store.takeNumber(tx, options.numberPrefix))
    const document = buildInvoice({ ...input, issue: { number, issuedAt, dueAt } })
    const isPaid = BigInt(document.amountDue) <= 0n
    const state = {
      number,
      status: isPaid ? 'paid' : 'open',
      issuedAt,
      dueAt,
      paidAt: isPaid ? issuedAt : null,
    } as const
    const row = { ...rowOf(document, input), organizationId, id: invoiceId, periodId, creditSequence, ...state }
    if (!(await store.finalizeDraft(tx, row, lineRows(organizationId, invoiceId, document))))
      throw new Error('what is finalized is no draft')
    failpoint('invoices.finalizing')
    await applyCredit(tx, row)
    const { currency, total } = document
    const payload = { invoiceId, number, total, currency }
    await append(tx, { organizationId, kind: INVOICE_FINALIZED, payload })
    if (isPaid) await append(tx, { organizationId, kind: INVOICE_PAID, payload })
    await record(tx, {
      organizationId,
      by: 'system',
      action: 'invoice.finalized',
      target: { kind: 'invoice', id: invoiceId },
      after: { number, total, currency, amountDue: document.amountDue },
    })
  }

  /** Takes what the invoice used out of the ledger, or gives what it is below nothing. */
  async function applyCredit(
    tx: SystemTx,
    row: Pick<store.InvoiceRow, 'organizationId' | 'id' | 'creditApplied' | 'currency'>,
  ) {
    if (row.creditApplied === 0n) return
    await store.addEntry(tx, {
      organizationId: row.organizationId,
      id: newId('crd', clock().getTime()),
      amount: -row.creditApplied,
      currency: row.currency,
      reason: row.creditApplied > 0n ? 'applied to an invoice' : 'from an invoice',
      invoiceId: row.id,
      createdAt: clock(),
    })
  }

  return {
    /**
     * Bills everything that is due. Any number of processes may ask at once, and asking again changes nothing. What fails keeps no other
     * organization waiting; it is thrown at the end. Gives how many periods were closed and sets of charges billed.
     */
    async invoiceDue(): Promise<number> {
      const failures: unknown[] = []
      let made = 0
      const attempt = async (work: () => Promise<boolean>) => {
        try {
          const isMade = await work()
          if (isMade) made++
          return isMade
        } catch (error) {
          failures.push(error)
          return false
        }
      }
      for await (const organizationId of pages(postgres, sources.listWithChargesDue, (id) => id))
        while (await attempt(() => invoiceCharges(organizationId)));
      // A period that closes lets the next one of the same organization be billed, so they are listed until nothing is made.
      for (let before = -1; made !== before; ) {
        before = made
        for await (const period of pages(postgres, sources.listEnded, ({ organizationId }) => organizationId))
          await attempt(() => invoicePeriod(period))
        if (failures.length > 0) break
      }
      if (failures.length > 0)
        throw new AggregateError(failures, `organizations could not be billed: ${failures.length}`)
      return made
    },
  }
}

/** Everything that a list by organization has, page by page. */
async function* pages<Row>(
  postgres: Postgres,
  list: (tx: SystemTx, page: { after: string; limit: number }) => Promise<Row[]>,
  organizationOf: (row: Row) => string,
) {
  for (let after = ''; ; ) {
    const rows = await postgres.withSystem((tx) => list(tx, { after, limit: PAGE }))
    yield* rows
    const last = rows.at(-1)
    if (!last || rows.length < PAGE) return
    after = organizationOf(last)
  }
}

function rowOf(document: InvoiceDocument, { cutOff, reason }: InvoiceInput) {
  const text = canonicalText(document)
  return {
    reason: reason as store.InvoiceRow['reason'],
    subscriptionId: document.subscriptionId,
    currency: document.currency,
    cutOff,
    document: text,
    contentHash: contentHashOf(text),
    ...amountsOf(document),
  }
}
