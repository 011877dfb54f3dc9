import type { Measured } from './measuring.ts'

/** Which events of an organization are meant. */
export interface UsageQuestion {
  meterKey: string
  /** Without it the newest. */
  meterVersion?: number | undefined
  from: Date
  /** Exclusive. */
  to: Date
  /** Inclusive. */
  receivedThrough?: Date | undefined
  /** Exclusive. */
  receivedAfter?: Date | undefined
  projectId?: string | undefined
}

/** Which of the events: so many, from after a place on. */
export type Page = { after: { event: string; messageId: string } | undefined; limit: number }

export interface Usage extends Measured {
  /** The value in whole units, as it is priced. */
  quantity: bigint
  meterVersion: number
}
