import type { Random } from '../clickstream/random.ts'
import { eventId } from './ledger.ts'

export interface TrafficBatch {
  number: number
  organization: number
  events: number
  /** The same bytes at every send. */
  body: Buffer
}

const NAMES = ['Page Viewed', 'Product Viewed', 'Order Completed', 'Export Started']
/** A tenth lies in an earlier month, so that an insert has several partitions and can be half done. */
const BACKDATED_SHARE = 0.1
export const BACKDATED_MS = 40 * 86_400_000
const EVENTS_MAX = 100

/** A batch of 1 to 100 events, small ones more often: as many of 1 to 10 as of 10 to 100. */
export function makeBatch(
  run: string,
  number: number,
  organizations: number,
  random: Random,
  padBytes: number,
): TrafficBatch {
  const events = Math.max(1, Math.round(EVENTS_MAX ** random.next()))
  const nowMs = Date.now()
  const list = Array.from({ length: events }, (_, index) => ({
    event: random.pick(NAMES),
    messageId: eventId(run, number, index),
    userId: `user-${random.below(1000)}`,
    timestamp: new Date(nowMs - (random.chance(BACKDATED_SHARE) ? BACKDATED_MS : random.below(5000))).toISOString(),
    properties: { total: random.below(10_000) / 100, plan: random.pick(['free', 'team']), pad: 'x'.repeat(padBytes) },
  }))
  return { number, organization: number % organizations, events, body: Buffer.from(JSON.stringify(list)) }
}
