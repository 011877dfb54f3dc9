import type { Postgres } from '../../../../infra/postgres.ts'
import { csvLine } from '../../../audit/index.ts'
import { noPeriod, periodNotFound } from '../../errors.ts'
import type { InvoiceDocument, InvoiceLine } from '../../invoices/document.ts'
import type { MeasuredPart } from '../../meters/measuring.ts'
import { allocate } from '../../money/allocate.ts'
import { parseDecimal } from '../../money/decimal.ts'
import type { SpendPart, SpendParts } from '../schemas.ts'
import * as store from '../store.ts'

type By = 'project' | 'event'

/** Which events a line of an invoice was measured from. */
interface Question {
  meterKey: string
  meterVersion: number
  from: Date
  to: Date
  receivedThrough: Date
}

interface Dependencies {
  postgres: Postgres
  /** The period that is open; null while none is. */
  openPeriod: (organizationId: string) => Promise<{ id: string } | null>
  estimate: (organizationId: string, periodId: string) => Promise<{ soFar: InvoiceDocument }>
  questionOf: (line: InvoiceLine) => Question
  parts: (organizationId: string, question: Question & { by: readonly By[] }) => Promise<{ rows: MeasuredPart[] }>
}

export type SpendPartsService = ReturnType<typeof createSpendPartsService>

/** Which projects or events the usage of a period was spent on. */
export function createSpendPartsService({ postgres, openPeriod, estimate, questionOf, parts }: Dependencies) {
  /** The invoice of the period, what it comes to as long as there is none, or null where it came to nothing. */
  async function documentOf(organizationId: string, period: store.PeriodRow): Promise<InvoiceDocument | null> {
    if (period.status !== 'invoiced') return (await estimate(organizationId, period.id)).soFar
    const issued = await postgres.withTenant(organizationId, (tx) => store.listIssued(tx, organizationId))
    const own = issued.find(({ periodId }) => periodId === period.id)
    return own ? (JSON.parse(own.document) as InvoiceDocument) : null
  }

  async function find(organizationId: string, periodId: string | undefined): Promise<store.PeriodRow> {
    const id = periodId ?? (await openPeriod(organizationId))?.id
    if (id === undefined) throw noPeriod('No billing period is open at the moment.')
    const period = await postgres.withTenant(organizationId, (tx) => store.findPeriod(tx, organizationId, id))
    if (!period) throw periodNotFound('There is no such period.')
    return period
  }

  async function read(
    organizationId: string,
    { by, periodId }: { by: By; periodId?: string | undefined },
  ): Promise<SpendParts> {
    const period = await find(organizationId, periodId)
    const document = await documentOf(organizationId, period)
    const lines = document?.lines.filter(({ kind }) => kind === 'usage') ?? []
    const data: SpendPart[] = []
    for (const line of lines) {
      const { rows } = await parts(organizationId, { ...questionOf(line), by: [by] })
      data.push(...split(line, rows))
    }
    const total = lines.reduce((sum, { net }) => sum + BigInt(net), 0n).toString()
    return { periodId: period.id, by, currency: document?.currency ?? null, data, total }
  }

  return {
    read,

    async csv(organizationId: string, query: { by: By; periodId?: string | undefined }): Promise<string> {
      const { by, data } = await read(organizationId, query)
      const lines = data.map(({ key, meter, value, events, amount }) =>
        csvLine([key, meter, value, BigInt(events), BigInt(amount)]),
      )
      return [csvLine([by, 'meter', 'value', 'events', 'amount']), ...lines].join('')
    },
  }
}

/** Splits what a line costs by what each part used, so that the parts sum to it exactly. What nothing was used for is nobody's. */
function split({ meter, net }: InvoiceLine, rows: readonly MeasuredPart[]): SpendPart[] {
  const name = meter?.key ?? ''
  const weights = rows.map(({ value }) => positive(parseDecimal(value)))
  const isUsed = weights.some((weight) => weight > 0n)
  const amounts = isUsed ? allocate(BigInt(net), weights) : rows.map(() => 0n)
  const found = rows.map(({ keys: [key = ''], value, rowCount }, index) => ({
    key,
    meter: name,
    value,
    events: rowCount.toString(),
    amount: String(amounts[index] ?? 0n),
  }))
  if (isUsed || net === '0') return found
  return [...found, { key: null, meter: name, value: '0', events: '0', amount: net }]
}

const positive = (parts: bigint) => (parts > 0n ? parts : 0n)
