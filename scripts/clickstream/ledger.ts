import { type ClickstreamEvent, distinctIdOf } from './event.ts'

/** What the generator sent, counted exactly, so that the product's answers can be held against it. */
export interface Ledger {
  events: number
  byEvent: Map<string, number>
  byDay: Map<string, DayOfLedger>
  byCountry: Map<string, Map<string, number>>
  revenueCentsByCurrency: Map<string, Map<string, number>>
  /** Distinct ids of the whole stream. */
  users: Set<string>
}

/** One UTC day, keyed like `2026-10-01`. Revenue is the sum of `properties.total` of `Order Completed`. */
export interface DayOfLedger {
  events: number
  users: number
  revenueCents: number
}

export function createLedger(): Ledger {
  return {
    events: 0,
    byEvent: new Map(),
    byDay: new Map(),
    byCountry: new Map(),
    revenueCentsByCurrency: new Map(),
    users: new Set(),
  }
}

/** Passes the events through and counts them on the way. They have to come in time order: only one day's people are held. */
export function* counted(events: Iterable<ClickstreamEvent>, ledger: Ledger): Generator<ClickstreamEvent> {
  let day = ''
  let users = new Set<string>()
  for (const event of events) {
    const eventDay = event.timestamp.slice(0, 10)
    if (eventDay < day) throw new Error(`${event.messageId} of ${eventDay} comes after events of ${day}`)
    if (eventDay !== day) users = new Set()
    day = eventDay
    const distinctId = distinctIdOf(event)
    users.add(distinctId)
    count(ledger, event, day, distinctId, users.size)
    yield event
  }
}

function count(ledger: Ledger, event: ClickstreamEvent, day: string, distinctId: string, usersOfDay: number): void {
  ledger.events++
  ledger.users.add(distinctId)
  add(ledger.byEvent, event.event, 1)
  add(entry(ledger.byCountry, event.context.country, newCounts), day, 1)
  const row = entry(ledger.byDay, day, () => ({ events: 0, users: 0, revenueCents: 0 }))
  row.events++
  row.users = usersOfDay
  if (event.event !== 'Order Completed') return
  const cents = toCents(event.properties.total)
  row.revenueCents += cents
  add(entry(ledger.revenueCentsByCurrency, String(event.properties.currency), newCounts), day, cents)
}

/** Amounts have two decimals, so rounding only takes away the noise of binary fractions, in one amount as in a sum of them. */
export function toCents(amount: unknown): number {
  return Math.round(Number(amount) * 100)
}

const newCounts = () => new Map<string, number>()

function add(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by)
}

/** The value under a key, made when it is first asked for. */
function entry<V>(map: Map<string, V>, key: string, make: () => V): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}
