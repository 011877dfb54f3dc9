import type { Postgres } from '../../../infra/postgres.ts'
import { csvLine } from '../../audit/index.ts'
import type { InvoiceDocument } from '../invoices/document.ts'
import type { SpendPeriod } from './schemas.ts'
import * as store from './store.ts'

interface Dependencies {
  postgres: Postgres
  /** What a period comes to that is not billed yet. */
  estimate: (organizationId: string, periodId: string) => Promise<{ soFar: InvoiceDocument }>
}

export type SpendService = ReturnType<typeof createSpendService>

const COLUMNS = [
  ...['periodId', 'startsAt', 'endsAt', 'planKey', 'status', 'currency', 'charges', 'usage', 'adjustments'],
  ...['discount', 'net', 'tax', 'total', 'credited'],
] as const
const AMOUNTS: readonly string[] = COLUMNS.slice(6)

/** What an organization has spent, period by period. */
export function createSpendService({ postgres, estimate }: Dependencies) {
  async function periods(organizationId: string, limit: number): Promise<SpendPeriod[]> {
    const known = await postgres.withTenant(organizationId, async (tx) => {
      const issued = await store.listIssued(tx, organizationId)
      const rows = await store.listPeriods(tx, organizationId, limit)
      const found = []
      for (const [index, period] of rows.entries()) {
        const own = issued.filter((invoice) => isOf(invoice, period, rows[index - 1]))
        const ids = own.map(({ id }) => id)
        found.push({ period, own, credits: await store.listCredits(tx, organizationId, ids) })
      }
      return found
    })
    const spent: SpendPeriod[] = []
    for (const { period, own, credits } of known) {
      const documents = own.map(({ document }) => JSON.parse(document) as InvoiceDocument)
      const isOpen = period.status !== 'invoiced'
      if (isOpen) documents.push((await estimate(organizationId, period.id)).soFar)
      spent.push({
        ...aboutOf(period),
        currency: documents[0]?.currency ?? null,
        ...amountsOf(documents),
        credited: sumOf(credits.map(({ total }) => total)),
        isEstimate: isOpen,
        invoices: own.map(({ id, number }) => ({ id, number: number ?? '' })),
      })
    }
    return spent
  }

  return {
    /** Newest first. A period that is not billed yet has what it comes to by what was received until now. */
    periods,

    async csv(organizationId: string, limit: number): Promise<string> {
      const rows = await periods(organizationId, limit)
      const lines = rows.map((row) =>
        csvLine(COLUMNS.map((column) => (AMOUNTS.includes(column) ? BigInt(row[column] ?? 0) : row[column]))),
      )
      return [csvLine(COLUMNS.map(snake)), ...lines].join('')
    },
  }
}

/** Its own invoice, and those of its time that close no period: of a start or of a change. */
function isOf(invoice: store.InvoiceRow, period: store.PeriodRow, next: store.PeriodRow | undefined): boolean {
  const { periodId, issuedAt } = invoice
  if (periodId !== null) return periodId === period.id
  return issuedAt !== null && issuedAt >= period.startsAt && (!next || issuedAt < next.startsAt)
}

const aboutOf = ({ id, startsAt, endsAt, planKey, status }: store.PeriodRow) => ({
  periodId: id,
  startsAt: startsAt.toISOString(),
  endsAt: endsAt.toISOString(),
  planKey,
  status,
})

function amountsOf(documents: readonly InvoiceDocument[]) {
  const lines = documents.flatMap((document) => document.lines)
  const ofKind = (isIt: (kind: string) => boolean) =>
    sumOf(lines.flatMap(({ kind, amount }) => (isIt(kind) ? [BigInt(amount)] : [])))
  const total = (name: 'discount' | 'net' | 'tax' | 'total') =>
    sumOf(documents.map((document) => BigInt(document[name])))
  return {
    charges: ofKind((kind) => kind !== 'usage' && kind !== 'adjustment'),
    usage: ofKind((kind) => kind === 'usage'),
    adjustments: ofKind((kind) => kind === 'adjustment'),
    discount: total('discount'),
    net: total('net'),
    tax: total('tax'),
    total: total('total'),
  }
}

const sumOf = (amounts: readonly bigint[]): string => amounts.reduce((one, other) => one + other, 0n).toString()
const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
