import t from 'tap'
import { describe } from '../../scripts/clickstream/describe.ts'
import { type ClickstreamEvent, distinctIdOf, EVENT_NAMES } from '../../scripts/clickstream/event.ts'
import { generate } from '../../scripts/clickstream/generate.ts'
import { counted, createLedger } from '../../scripts/clickstream/ledger.ts'
import { planOf, runOf, type StreamPlan, startMsOf } from '../../scripts/clickstream/plan.ts'

const PLAN: StreamPlan = {
  seed: 7,
  untilMs: Date.parse('2026-10-01T12:00:00Z'),
  months: 3,
  events: 120_000,
  users: 3000,
}
const stream = [...generate(PLAN)]

t.test('equal plans make the same stream, messageIds included', async (t) => {
  let at = 0
  for (const event of generate({ ...PLAN })) {
    const before = stream[at++]
    if (JSON.stringify(event) !== JSON.stringify(before)) return t.same(event, before, `event ${at}`)
  }
  t.equal(at, stream.length)
})

t.test('streams of different plans share no messageId', async (t) => {
  const ids = new Set(stream.map(({ messageId }) => messageId))
  const untilMs = PLAN.untilMs + 1000
  for (const other of [{ seed: 8 }, { untilMs }, { events: 119_999 }, { users: 3001 }, { months: 2 }]) {
    const shared = [...generate({ ...PLAN, ...other })].filter(({ messageId }) => ids.has(messageId))
    t.equal(shared.length, 0, JSON.stringify(other))
  }
})

t.test(
  'a stream has exactly the events asked for, in time order, within its months, each messageId once',
  async (t) => {
    const plans = [
      PLAN,
      { ...PLAN, events: 1, users: 1 },
      { ...PLAN, events: 3, users: 20_000, months: 24 },
      { ...PLAN, events: 5000, users: 1, months: 1 },
      { ...PLAN, events: 100_000, users: 5, months: 1, untilMs: Date.parse('2028-03-31T19:00:01Z') },
      { ...PLAN, events: 250_000, months: 1, untilMs: Date.parse('2027-01-01T18:59:59Z') },
    ]
    for (const plan of plans) {
      let lastMs = startMsOf(plan)
      let disorder = 0
      const ids = new Set<string>()
      for (const { timestamp, messageId } of generate(plan)) {
        const atMs = Date.parse(timestamp)
        if (atMs < lastMs || atMs >= plan.untilMs) disorder++
        lastMs = atMs
        ids.add(messageId)
      }
      t.equal(disorder, 0, `${runOf(plan)} is in order and in range`)
      t.equal(ids.size, plan.events, `${runOf(plan)} has its events`)
    }
  },
)

t.test('the months before the last day of a month begin on a day that exists', async (t) => {
  const startOf = (until: string, months: number) =>
    new Date(startMsOf({ ...PLAN, untilMs: Date.parse(until), months })).toISOString().slice(0, 16)
  t.equal(startOf('2026-05-31T08:30:00Z', 3), '2026-02-28T08:30')
  t.equal(startOf('2028-05-31T08:30:00Z', 3), '2028-02-29T08:30')
  t.equal(startOf('2026-01-15T08:30:00Z', 3), '2025-10-15T08:30')
})

t.test('a run names its whole plan, and nothing else is taken for a run', async (t) => {
  t.same(planOf(runOf(PLAN)), PLAN)
  for (const text of ['', '42', 'a/b/c/d/e', `${runOf(PLAN)}/`, '7/3/120000/3000/yesterday'])
    t.equal(planOf(text), undefined)
})

t.test('all 50 event names occur and no other', async (t) => {
  const names = new Set(stream.map(({ event }) => event))
  t.equal(EVENT_NAMES.length, 50)
  t.same([...names].sort(), [...EVENT_NAMES].sort())
})

t.test('every event keeps the limits of the ingestion route', async (t) => {
  const faults = stream.filter((event) => {
    const bytes = Buffer.byteLength(JSON.stringify(event))
    return (
      bytes > 4096 || event.messageId.length !== 36 || !event.anonymousId || event.context.library.run !== runOf(PLAN)
    )
  })
  t.same(faults, [])
})

t.test('people are anonymous first and keep their anonymousId when they become known', async (t) => {
  const signUps = stream.filter(({ event }) => event === 'Signed Up')
  t.ok(signUps.length > 100, `${signUps.length} sign-ups`)
  const firsts = new Map<string, ClickstreamEvent>()
  const known = new Map<string, Set<string>>()
  for (const event of stream) {
    const { anonymousId, userId } = event
    if (!firsts.has(anonymousId)) firsts.set(anonymousId, event)
    if (userId) known.set(anonymousId, (known.get(anonymousId) ?? new Set()).add(userId))
  }
  t.ok(
    signUps.every(({ userId, anonymousId }) => !userId && known.get(anonymousId)?.size === 1),
    'one person for each device',
  )
  const anonymousFirst = signUps.filter(({ anonymousId }) => firsts.get(anonymousId)?.userId === undefined)
  t.equal(anonymousFirst.length, signUps.length, 'nobody is known before signing up')
})

t.test('orders add up to the cent: lines, discount and shipping make the total', async (t) => {
  const orders = stream.filter(({ event }) => event === 'Order Completed').map(({ properties }) => properties)
  t.ok(orders.length > 100, `${orders.length} orders`)
  for (const { total, subtotal, shipping, discount, products, quantity } of orders) {
    const lines = products as { price: number; quantity: number }[]
    const lineCents = lines.reduce((sum, line) => sum + Math.round(line.price * 100) * line.quantity, 0)
    const cents = [subtotal, shipping, discount, total].map((amount) => Math.round(Number(amount) * 100)) as [
      number,
      number,
      number,
      number,
    ]
    if (lineCents !== cents[0] || cents[0] + cents[1] - cents[2] !== cents[3])
      t.fail('an order does not add up', { total, lines })
    if (!/^\d+(\.\d{1,2})?$/.test(String(total))) t.fail(`${total} has more than two decimals`)
    if (lines.reduce((sum, line) => sum + line.quantity, 0) !== quantity) t.fail('quantity differs from the lines')
  }
})

t.test(
  'the stream has the rhythm of a shop: nights, weekends, growth, heavy users, a few per cent of orders',
  async (t) => {
    const german = stream.filter(({ context }) => context.country === 'DE')
    const localHours = german.map(({ timestamp }) => (new Date(timestamp).getUTCHours() + 1) % 24)
    const inHours = (from: number, to: number) => localHours.filter((hour) => hour >= from && hour < to).length
    t.ok(inHours(19, 22) > 6 * inHours(2, 5), 'evenings are busier than nights, in local time')

    const onWeekday = (day: number) => stream.filter(({ timestamp }) => new Date(timestamp).getUTCDay() === day).length
    const weekend = Math.max(onWeekday(0), onWeekday(6))
    t.ok(weekend < 0.9 * Math.min(...[1, 2, 3, 4].map(onWeekday)), 'weekends are lower')

    const middleMs = (startMsOf(PLAN) + PLAN.untilMs) / 2
    const early = stream.filter(({ timestamp }) => Date.parse(timestamp) < middleMs).length
    t.ok(early < 0.46 * stream.length, 'the second half is larger')

    const perUser = new Map<string, number>()
    for (const event of stream) perUser.set(distinctIdOf(event), (perUser.get(distinctIdOf(event)) ?? 0) + 1)
    const counts = [...perUser.values()].sort((a, b) => b - a)
    const top = counts.slice(0, Math.ceil(counts.length / 100)).reduce((sum, count) => sum + count, 0)
    t.ok(top > 0.08 * stream.length, 'the busiest hundredth stands out')
    t.ok(perUser.size > PLAN.users * 0.95, 'all people came')

    const count = (name: string) => stream.filter(({ event }) => event === name).length
    const conversion = count('Order Completed') / count('Session Started')
    t.ok(conversion > 0.015 && conversion < 0.06, `${(conversion * 100).toFixed(1)} % of sessions order`)
  },
)

t.test('the ledger agrees with a recount from the stored stream', async (t) => {
  const ledger = createLedger()
  const passed = [...counted(stream, ledger)]
  t.equal(passed.length, stream.length, 'it passes every event through')
  const on = (day: string) => stream.filter(({ timestamp }) => timestamp.startsWith(day))
  const cents = (events: ClickstreamEvent[]) =>
    events
      .filter(({ event }) => event === 'Order Completed')
      .reduce((sum, { properties }) => sum + Math.round(Number(properties.total) * 100), 0)
  t.equal(ledger.events, stream.length)
  t.equal(ledger.users.size, new Set(stream.map(distinctIdOf)).size)
  for (const [day, row] of ledger.byDay) {
    const events = on(day)
    t.same(
      row,
      { events: events.length, users: new Set(events.map(distinctIdOf)).size, revenueCents: cents(events) },
      day,
    )
  }
  for (const name of EVENT_NAMES)
    t.equal(ledger.byEvent.get(name), stream.filter(({ event }) => event === name).length, name)
  const germanDay = on('2026-09-01').filter(({ context }) => context.country === 'DE').length
  t.equal(ledger.byCountry.get('DE')?.get('2026-09-01'), germanDay)
  const euros = stream.filter(({ properties }) => properties.currency === 'EUR')
  const days = ledger.revenueCentsByCurrency.get('EUR')?.values() ?? []
  t.equal(
    [...days].reduce((sum, day) => sum + day, 0),
    cents(euros),
  )
})

t.test('the ledger refuses a stream that is not in time order', async (t) => {
  t.throws(() => [...counted([...stream].reverse(), createLedger())], /comes after events of/)
})

t.test('the description shows rhythm, names and business', async (t) => {
  const ledger = createLedger()
  const text = describe(counted(stream, ledger), ledger)
  for (const part of ['Monday', '20:00', 'Names (50)', 'Order Completed', '120,000 events', '% of sessions', 'EUR']) {
    t.match(text, part)
  }
})
