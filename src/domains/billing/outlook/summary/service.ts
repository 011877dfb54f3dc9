import { noPeriod } from '../../errors.ts'
import type { InvoiceDocument } from '../../invoices/document.ts'
import type { MeterOutlook, ReadOutlook } from '../outlook.ts'
import type { UsageSummary } from '../schemas.ts'

interface Dependencies {
  outlook: ReadOutlook
  estimate: (
    organizationId: string,
    periodId: string,
  ) => Promise<{ soFar: InvoiceDocument; comesTo: (quantityOf: QuantityOf) => InvoiceDocument }>
}

type QuantityOf = (meterKey: string) => bigint | undefined
type End = 'expected' | 'low' | 'high'

export type SummaryService = ReturnType<typeof createSummaryService>

/** The open period in one answer: what was used, what that costs, and what both will come to. */
export function createSummaryService({ outlook, estimate }: Dependencies) {
  return {
    async read(organizationId: string): Promise<UsageSummary> {
      const seen = await outlook.read(organizationId)
      if (!seen) throw noPeriod('No billing period is open at the moment.')
      const { now, period, mode, meters } = seen
      const { soFar, comesTo } = await estimate(organizationId, period.id)
      const net = (end: End) => comesTo(quantityAt(meters, soFar, end)).net
      return {
        asOf: now.toISOString(),
        period: {
          id: period.id,
          startsAt: period.startsAt.toISOString(),
          endsAt: period.endsAt.toISOString(),
          isTrial: period.isTrial,
          planKey: period.planKey,
          limitMode: mode,
        },
        meters: meters.map(toSummary),
        spend: {
          currency: soFar.currency,
          soFar: soFar.net,
          forecast: net('expected'),
          low: net('low'),
          high: net('high'),
        },
      }
    },
  }
}

/** What will be billed of a meter: what was measured, and what the forecast adds to what is counted. */
function quantityAt(meters: readonly MeterOutlook[], { lines }: InvoiceDocument, end: End): QuantityOf {
  return (meterKey) => {
    const { forecast, used } = meters.find(({ meter }) => meter === meterKey) ?? {}
    const measured = lines.find(({ kind, meter }) => kind === 'usage' && meter?.key === meterKey)?.quantity
    if (!forecast || used === undefined || measured === undefined || measured === null) return undefined
    return BigInt(measured) + forecast[end] - used
  }
}

function toSummary({ meter, used, whole, forecast, reachesAt }: MeterOutlook): UsageSummary['meters'][number] {
  return {
    meter,
    used: used.toString(),
    whole: whole && { kind: whole.kind, quantity: whole.quantity.toString() },
    percent: whole && percentOf(used, whole.quantity),
    forecast: forecast && {
      expected: forecast.expected.toString(),
      low: forecast.low.toString(),
      high: forecast.high.toString(),
      method: forecast.method,
    },
    reachesAt: reachesAt?.toISOString() ?? null,
  }
}

function percentOf(used: bigint, quantity: bigint): string | null {
  if (quantity === 0n) return null
  const hundredths = ((used * 10_000n) / quantity).toString().padStart(3, '0')
  return `${hundredths.slice(0, -2)}.${hundredths.slice(-2)}`
}
