import { type Ledger, toCents } from './ledger.ts'
import { type StreamPlan, startMsOf } from './plan.ts'
import type { TrendQuery } from './query-client.ts'

/** A question, and the answer that the ledger gives: `{breakdown value} {day}` or `{breakdown value} total` → number. */
export interface Check {
  name: string
  query: TrendQuery
  expected: Map<string, number>
  /** Turns an answered value into the ledger's unit. */
  unit: (value: number) => number
  totalsOnly?: boolean
  strict: boolean
}

export function checksOf(plan: StreamPlan, ledger: Ledger): Check[] {
  const days = [...ledger.byDay]
  const revenueCents = days.reduce((sum, [, day]) => sum + day.revenueCents, 0)
  const orders = { event: 'Order Completed', math: 'sum', property: 'total' } as const
  const check = (name: string, query: TrendQuery, expected: Iterable<[string, number]>): Check => {
    return { name, query, expected: new Map(expected), unit: (value) => value, strict: false }
  }
  return [
    check('events by day', trendOver(plan, { math: 'count' }), [
      ...days.map(([day, { events }]): [string, number] => [` ${day}`, events]),
      [' total', ledger.events],
    ]),
    {
      ...check('events by name', trendOver(plan, { math: 'count' }, 'event'), totals(ledger.byEvent)),
      totalsOnly: true,
    },
    check('unique users by day', trendOver(plan, { math: 'uniqueUsers' }), [
      ...days.map(([day, { users }]): [string, number] => [` ${day}`, users]),
      [' total', ledger.users.size],
    ]),
    {
      ...check('revenue by day', trendOver(plan, orders), [
        ...days.map(([day, row]): [string, number] => [` ${day}`, row.revenueCents]),
        [' total', revenueCents],
      ]),
      unit: toCents,
    },
    {
      ...check(
        'revenue by day and currency',
        trendOver(plan, orders, 'properties.currency'),
        nested(ledger.revenueCentsByCurrency),
      ),
      unit: toCents,
    },
    check('events by day and country', trendOver(plan, { math: 'count' }, 'context.country'), nested(ledger.byCountry)),
  ]
}

/** A daily trend over all the days that the stream touches. */
export function trendOver(plan: StreamPlan, series: TrendQuery['series'][number], breakdown?: string): TrendQuery {
  const start = new Date(startMsOf(plan))
  start.setUTCHours(0, 0, 0, 0)
  return {
    kind: 'trend',
    from: start.toISOString(),
    to: new Date(plan.untilMs).toISOString(),
    interval: 'day',
    series: [series],
    ...(breakdown && { breakdown: [breakdown], limit: 200 }),
  }
}

function* totals(counts: Map<string, number>): Generator<[string, number]> {
  for (const [name, count] of counts) yield [`${name} total`, count]
}

function* nested(maps: Map<string, Map<string, number>>): Generator<[string, number]> {
  for (const [name, days] of maps) {
    let sum = 0
    for (const [day, value] of days) {
      sum += value
      yield [`${name} ${day}`, value]
    }
    yield [`${name} total`, sum]
  }
}
