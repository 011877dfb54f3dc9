import { trafficLiftAt } from './acquisition.ts'
import { COUNTRIES, type Country } from './audience.ts'
import { type StreamPlan, startMsOf } from './plan.ts'
import { createRandom, itemAt, type Random } from './random.ts'

const HOUR_MS = 3_600_000

/** Visits by local hour, against an average hour: a small lunch peak, a large evening one, a quiet night. */
const WEEKDAY_HOURS = [
  0.42, 0.25, 0.16, 0.12, 0.13, 0.22, 0.45, 0.72, 0.95, 1.1, 1.18, 1.22, 1.38, 1.3, 1.15, 1.1, 1.12, 1.2, 1.34, 1.58,
  1.75, 1.62, 1.2, 0.74,
]
/** People get up later and the evening belongs to something else. */
const WEEKEND_HOURS = [
  0.5, 0.33, 0.21, 0.14, 0.11, 0.14, 0.24, 0.4, 0.6, 0.82, 0.98, 1.05, 1.02, 0.98, 0.99, 1.02, 1.05, 1.08, 1.1, 1.16,
  1.22, 1.1, 0.84, 0.58,
]
/** Sunday first. */
const WEEKDAYS = [0.84, 1.08, 1.1, 1.04, 1, 0.92, 0.74]
/** Traffic at the end of the range against its beginning. */
const GROWTH = 1.75

export interface Rhythm {
  startMs: number
  /** The share of all events that should have happened before a moment: 0 at the start, 1 at the end. */
  shareBefore: (atMs: number) => number
  /** A country, by how busy each is at that hour of its own day. */
  countryAt: (atMs: number, random: Random) => Country
}

/** How busy the shop is over the range: local daily and weekly rhythm of each country, growth, campaigns and the noise of days. */
export function createRhythm(plan: StreamPlan): Rhythm {
  const startMs = startMsOf(plan)
  const hours = Math.ceil((plan.untilMs - startMs) / HOUR_MS)
  const width = COUNTRIES.length
  // Row by row the running sum over the countries of one hour.
  const byCountry = new Float64Array(hours * width)
  const before = new Float64Array(hours + 1)
  const noise = createRandom(`rhythm/${plan.seed}`)
  let dayNoise = 1
  for (let hour = 0; hour < hours; hour++) {
    if (hour % 24 === 0) dayNoise = 0.93 + 0.14 * noise.next()
    const share = hour / hours
    const level = dayNoise * GROWTH ** share * trafficLiftAt(share)
    let sum = 0
    for (let i = 0; i < width; i++) {
      sum += level * localWeight(itemAt(COUNTRIES, i), startMs + hour * HOUR_MS)
      byCountry[hour * width + i] = sum
    }
    before[hour + 1] = itemAt(before, hour) + sum
  }
  const whole = itemAt(before, hours)
  const hourOf = (atMs: number) => Math.min(Math.floor((atMs - startMs) / HOUR_MS), hours - 1)

  return {
    startMs,
    shareBefore: (atMs) => {
      const hour = hourOf(atMs)
      const within = (atMs - startMs) / HOUR_MS - hour
      const sum = itemAt(before, hour)
      return (sum + within * (itemAt(before, hour + 1) - sum)) / whole
    },
    countryAt: (atMs, random) => {
      const row = hourOf(atMs) * width
      const target = random.next() * itemAt(byCountry, row + width - 1)
      let i = 0
      while (i < width - 1 && itemAt(byCountry, row + i) <= target) i++
      return itemAt(COUNTRIES, i)
    },
  }
}

function localWeight(country: Country, atMs: number): number {
  const local = new Date(atMs + country.utcOffsetHours * HOUR_MS)
  const weekday = local.getUTCDay()
  const hours = weekday === 0 || weekday === 6 ? WEEKEND_HOURS : WEEKDAY_HOURS
  return country.weight * itemAt(hours, local.getUTCHours()) * itemAt(WEEKDAYS, weekday)
}
