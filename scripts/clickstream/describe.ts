import { COUNTRIES } from './audience.ts'
import { type ClickstreamEvent, distinctIdOf } from './event.ts'
import type { Ledger } from './ledger.ts'
import { table } from './table.ts'

const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const WEEK_MS = 604_800_000
/** The first Monday after the epoch. */
const MONDAY_MS = 345_600_000
const BAR_WIDTH = 40
const number = new Intl.NumberFormat('en-US')
const money = new Intl.NumberFormat('en-US', { minimumFractionDigits: 2 })

/** What a stream looks like: its rhythm, its people and its business, as text for a terminal. Consumes the events. */
export function describe(events: Iterable<ClickstreamEvent>, ledger: Ledger): string {
  const shape = shapeOf(events)
  const { events: total, byEvent } = ledger
  const sessions = byEvent.get('Session Started') ?? 0
  const orders = byEvent.get('Order Completed') ?? 0
  const perPerson = [...shape.byUser.values()].sort((a, b) => b - a)
  const topHundredth = perPerson.slice(0, Math.ceil(perPerson.length / 100)).reduce((sum, count) => sum + count, 0)
  const names = [...byEvent].sort((a, b) => b[1] - a[1])
  const sections: [string, string][] = [
    ['Weekdays (visitor’s time)', bars(rotate(WEEKDAYS.map((name, day) => [name, shape.byWeekday[day] ?? 0])))],
    ['Hours (visitor’s time)', bars(shape.byHour.map((count, hour) => [`${String(hour).padStart(2, '0')}:00`, count]))],
    ['Weeks', bars([...shape.byWeek].map(([week, count]) => [new Date(week).toISOString().slice(0, 10), count]))],
    ['Countries', bars([...shape.byCountry].sort((a, b) => b[1] - a[1]).slice(0, 8))],
    ['Campaigns', bars([...shape.byCampaign].sort((a, b) => b[1] - a[1]))],
    ['Devices', bars([...shape.byDevice].sort((a, b) => b[1] - a[1]))],
    [
      `Names (${names.length})`,
      table(
        ['event', 'count', 'share'],
        names.map(([name, count]) => [name, number.format(count), percent(count / total)]),
      ),
    ],
    [
      'Business',
      [
        `${number.format(total)} events by ${number.format(ledger.users.size)} distinct ids on ${ledger.byDay.size} days`,
        `${number.format(sessions)} sessions, ${(total / sessions).toFixed(1)} events each, ${percent(shape.returning / sessions)} by returning visitors`,
        `${number.format(orders)} orders, ${percent(orders / sessions)} of sessions; revenue ${revenue(ledger)}`,
        `${percent(shape.identified / total)} of events carry a userId; ${number.format(shape.signUps)} people became known on the way`,
        `the busiest hundredth of people makes ${percent(topHundredth / total)} of events, the busiest one ${number.format(perPerson[0] ?? 0)}`,
        `${shape.propertyNames.size} property names`,
      ].join('\n'),
    ],
  ]
  return sections.map(([title, text]) => `${title}\n${text}\n`).join('\n')
}

function shapeOf(events: Iterable<ClickstreamEvent>) {
  const offsetMs = new Map(COUNTRIES.map(({ code, utcOffsetHours }) => [code, utcOffsetHours * 3_600_000]))
  const shape = {
    byHour: Array.from({ length: 24 }, () => 0),
    byWeekday: Array.from({ length: 7 }, () => 0),
    byWeek: new Map<number, number>(),
    byCountry: new Map<string, number>(),
    byCampaign: new Map<string, number>(),
    byDevice: new Map<string, number>(),
    byUser: new Map<string, number>(),
    propertyNames: new Set<string>(),
    identified: 0,
    returning: 0,
    signUps: 0,
  }
  for (const event of events) {
    const atMs = Date.parse(event.timestamp)
    const { context, properties } = event
    const local = new Date(atMs + (offsetMs.get(context.country) ?? 0))
    bump(shape.byHour, local.getUTCHours())
    bump(shape.byWeekday, local.getUTCDay())
    add(shape.byWeek, atMs - ((atMs - MONDAY_MS) % WEEK_MS))
    add(shape.byCountry, context.country)
    add(shape.byUser, distinctIdOf(event))
    for (const name in properties) shape.propertyNames.add(name)
    if (event.userId) shape.identified++
    if (event.event === 'Signed Up') shape.signUps++
    if (event.event !== 'Session Started') continue
    if (properties.returning) shape.returning++
    const { campaign, device } = context as { campaign?: { name: string }; device?: { type: string } }
    add(shape.byCampaign, campaign?.name ?? '(none)')
    add(shape.byDevice, device?.type ?? '(none)')
  }
  return shape
}

function bars(rows: [string, number][]): string {
  const most = Math.max(...rows.map(([, count]) => count))
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows
    .map(
      ([name, count]) =>
        `${name.padEnd(width)}  ${number.format(count).padStart(9)}  ${'▇'.repeat(Math.round((BAR_WIDTH * count) / most))}`,
    )
    .join('\n')
}

function revenue({ revenueCentsByCurrency }: Ledger): string {
  return [...revenueCentsByCurrency]
    .map(([currency, days]) => [currency, [...days.values()].reduce((sum, cents) => sum + cents, 0)] as const)
    .map(([currency, cents]) => `${money.format(cents / 100)} ${currency}`)
    .join(', ')
}

/** Monday first. */
function rotate<T>([sunday, ...rest]: T[]): T[] {
  return sunday === undefined ? rest : [...rest, sunday]
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`
}

function add<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

function bump(counts: number[], index: number): void {
  counts[index] = (counts[index] ?? 0) + 1
}
