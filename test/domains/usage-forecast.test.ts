import fc from 'fast-check'
import t from 'tap'
import { type ForecastInput, forecastOf, HOUR_MS, reachedAt } from '../../src/domains/billing/outlook/forecast.ts'

const DAY_MS = 24 * HOUR_MS
const FROM = Date.UTC(2026, 5, 1)
const TO = Date.UTC(2026, 6, 1)
const RUNS = { numRuns: 300, seed: 20261123 }

/** What each of the hours before a time has, by a rule. */
const hoursBefore = (endMs: number, count: number, quantityOf: (startMs: number) => bigint) =>
  Array.from({ length: count }, (_, index) => {
    const startMs = endMs - (index + 1) * HOUR_MS
    return { startMs, quantity: quantityOf(startMs) }
  })

const inputs = fc
  .record({
    // From the first millisecond of the period to a day after it.
    passedMs: fc.integer({ min: 1, max: TO - FROM + DAY_MS }),
    used: fc.bigInt({ min: 0n, max: 10n ** 18n }),
    hours: fc.array(
      fc.record({ back: fc.integer({ min: 1, max: 900 }), quantity: fc.bigInt({ min: 0n, max: 10n ** 15n }) }),
      { maxLength: 60 },
    ),
  })
  .map(({ passedMs, used, hours }): ForecastInput => {
    const nowMs = FROM + passedMs
    const endMs = Math.floor(nowMs / HOUR_MS) * HOUR_MS
    const known = hours.map(({ back, quantity }) => ({ startMs: endMs - back * HOUR_MS, quantity }))
    return { now: new Date(nowMs), from: new Date(FROM), to: new Date(TO), used, hours: known }
  })

t.test('a forecast is never below what was used and lies within its range', async () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const forecast = forecastOf(input)
      if (!forecast) return false
      const { low, expected, high } = forecast
      return input.used <= low && low <= expected && expected <= high
    }),
    RUNS,
  )
})

t.test('a forecast depends on nothing but its input, and not on the order of the hours', async () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const turned = { ...input, hours: input.hours.toReversed() }
      return JSON.stringify(textOf(input)) === JSON.stringify(textOf(turned))
    }),
    RUNS,
  )
})

t.test(
  'a quantity is reached before the end if and only if the forecast comes to it, and the later the more it is',
  async () => {
    const quantity = fc.bigInt({ min: 1n, max: 10n ** 19n })
    fc.assert(
      fc.property(inputs, quantity, (input, quantity) => {
        const at = reachedAt(input, quantity)
        const later = reachedAt(input, quantity + 1n)
        const comes = input.used < quantity && (forecastOf(input)?.expected ?? 0n) >= quantity
        if (!comes) return at === null
        if (!at || at < input.now || at > input.to) return false
        return later === null || later >= at
      }),
      RUNS,
    )
  },
)

t.test('twice the use gives twice the forecast', async () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const one = forecastOf(input)?.expected ?? 0n
      const hours = input.hours.map(({ startMs, quantity }) => ({ startMs, quantity: 2n * quantity }))
      const two = forecastOf({ ...input, used: 2n * input.used, hours })?.expected ?? 0n
      // A part of a unit that one forecast leaves out is a whole one in the other at the most.
      return two - 2n * one >= 0n && two - 2n * one <= 1n
    }),
    RUNS,
  )
})

t.test('without two weeks of history the period goes on as it was so far', async (t) => {
  const now = new Date(FROM + 3 * DAY_MS)
  const hours = hoursBefore(now.getTime(), 72, () => 10n)
  const input = { now, from: new Date(FROM), to: new Date(TO), used: 720n, hours }
  t.same(forecastOf(input), { method: 'linear', expected: 7200n, low: 7200n, high: 7200n })
  t.same(reachedAt(input, 1440n), new Date(FROM + 6 * DAY_MS))
  t.same(forecastOf({ ...input, hours: [] })?.high, 7200n, 'hours without use are days without use')
  t.same(forecastOf({ ...input, hours: [] })?.low, 720n)
  const counted = forecastOf({ ...input, used: 72n })
  t.match(counted, { expected: 720n, low: 720n, high: 6552n }, 'what is counted elsewhere lies in the range, too')
  const early = { ...input, now: new Date(FROM + DAY_MS), used: 240n, hours: hours.slice(48) }
  t.same(forecastOf(early), { method: 'linear', expected: 7200n, low: 240n, high: 14_160n })
})

t.test('with history the weekends to come are as the weekends were, and the night as the nights', async (t) => {
  const isBusy = (ms: number) => {
    const at = new Date(ms)
    return at.getUTCDay() % 6 !== 0 && at.getUTCHours() >= 8 && at.getUTCHours() < 18
  }
  const quantityOf = (ms: number) => (isBusy(ms) ? 100n : 0n)
  const now = Date.UTC(2026, 5, 12, 18)
  const rest = hoursBefore(TO, (TO - now) / HOUR_MS, quantityOf).reduce((sum, { quantity }) => sum + quantity, 0n)
  const input = {
    ...{ now: new Date(now), from: new Date(FROM), to: new Date(TO), used: 5000n },
    hours: hoursBefore(now, 4 * 7 * 24, quantityOf),
  }
  const expected = 5000n + rest
  t.same(forecastOf(input), { method: 'profile', expected, low: expected, high: expected })
  t.same(reachedAt(input, 5001n), new Date(Date.UTC(2026, 5, 15, 8, 0, 36)), 'nobody works on the weekend')
})

t.test('weeks that differ widen the range', async (t) => {
  const now = Date.UTC(2026, 5, 15)
  const hours = hoursBefore(now, 2 * 7 * 24, (ms) => (ms >= now - 7 * DAY_MS ? 30n : 10n))
  const input = { now: new Date(now), from: new Date(FROM), to: new Date(now + DAY_MS), used: 0n, hours }
  t.same(forecastOf(input), { method: 'profile', expected: 480n, low: 240n, high: 720n })
})

t.test('there is no forecast before a period, and nothing to forecast after it', async (t) => {
  const input = { from: new Date(FROM), to: new Date(TO), used: 7n, hours: [] }
  t.equal(forecastOf({ ...input, now: new Date(FROM) }), null)
  t.match(forecastOf({ ...input, now: new Date(TO) }), { expected: 7n, low: 7n, high: 7n })
  t.equal(reachedAt({ ...input, now: new Date(TO) }, 8n), null)
})

function textOf(input: ForecastInput) {
  const { expected, low, high, method } = forecastOf(input) ?? {}
  return [expected, low, high].map(String).concat(method ?? '')
}
