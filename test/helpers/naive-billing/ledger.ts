import type { PlanTerms } from '../../../src/domains/billing/catalog/schemas.ts'
import type { Coupon } from '../../../src/domains/billing/pricing/coupon.ts'

/** A version of a plan: what it says, and its name to tell it from others. */
export interface PlanVersion {
  key: string
  version: number
  /** Agreed with the organization alone. */
  isCustom: boolean
  terms: PlanTerms
}

/** What somebody did to the subscription of an organization, or to what it is billed by. */
export type Act =
  | { kind: 'open' }
  | { kind: 'changePlan'; plan: PlanVersion }
  | { kind: 'withdrawChange' | 'cancel' | 'reactivate' | 'pause' | 'resume' | 'closeNow' }
  | { kind: 'redeem'; code: string; coupon: Coupon; currency: string | null }
  | { kind: 'tax'; basisPoints: bigint }
  | { kind: 'credit'; amount: bigint }

export type Done = { atMs: number; act: Act }

/** One copy of an event, as it came. */
export interface Receipt {
  projectId: string
  messageId: string
  event: string
  timestampMs: number
  receivedAtMs: number
  /** What a summing meter adds up. */
  seats: bigint
}

/** How a meter counts: every event, those of a name, or the sum of what those of a name say. */
export type Counting = { of: 'all' } | { of: 'event'; event: string } | { of: 'seats'; event: string }

/** Everything that an organization's bills follow from. */
export interface Ledger {
  timeZone: string
  defaultPlan: PlanVersion
  done: readonly Done[]
  receipts: readonly Receipt[]
  meters: Readonly<Record<string, Counting>>
  graceMs: number
  /** When bills were made, in order: each of all that was due by then. */
  ticksMs: readonly number[]
  /** How long after the grace a bill still waits for what is on its way. */
  onTheWayMs: number
}
