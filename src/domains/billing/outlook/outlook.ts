import type { Plan } from '../catalog/schemas.ts'
import type { Period } from '../subscriptions/records.ts'
import type { Forecast } from './forecast.ts'

/** What a percentage of use is a percentage of. */
export interface Whole {
  /** The limit of events, or what the price of the plan includes. */
  kind: 'limit' | 'included'
  quantity: bigint
}

export interface MeterOutlook {
  meter: string
  used: bigint
  whole: Whole | null
  /** Whether `used` is what the door refuses by: events by when they were received, and not by when they happened. */
  isDoors: boolean
  /** Null for a meter whose hours do not add up. */
  forecast: Forecast | null
  /** When the whole is expected to be used up; null where it is not in this period, or is already. */
  reachesAt: Date | null
}

/** A period with the plan that prices it. */
export interface PricedPeriod extends Period {
  plan: Plan
}

/** How the open period of an organization stands, and where it leads. */
export interface Outlook {
  now: Date
  period: PricedPeriod
  mode: 'hard' | 'soft' | 'hold' | 'sample'
  meters: MeterOutlook[]
}

export interface ReadOutlook {
  read: (organizationId: string, more?: readonly string[]) => Promise<Outlook | null>
}

export interface ReadWholes {
  wholes: (organizationId: string) => Promise<{ periodId: string | null; wholes: Map<string, Whole> }>
}
