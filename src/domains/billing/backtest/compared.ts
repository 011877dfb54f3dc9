import type { InvoiceDocument } from '../invoices/document.ts'

/** Why a period cannot be compared: its plan has another interval or currency, or a meter of the draft is not there. */
export type SkipReason = 'interval' | 'currency' | 'meter'

export interface ComparedPeriod {
  periodId: string
  startsAt: Date
  endsAt: Date
  planKey: string
  planVersion: number
  isCustom: boolean
  /** Minor units, before coupons and tax. */
  billed: bigint
  draft: bigint
  lines: InvoiceDocument['lines']
}

export interface Backtest {
  periods: ComparedPeriod[]
  skipped: { periodId: string; reason: SkipReason }[]
}
