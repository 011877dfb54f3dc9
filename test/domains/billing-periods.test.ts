import fc from 'fast-check'
import t from 'tap'
import { boundaryAfter, usageHours, wholeSecond } from '../../src/domains/billing/subscriptions/period-clock.ts'

const HOUR_MS = 3_600_000
const ZONES = [
  'UTC',
  'America/New_York',
  'Asia/Kolkata',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'America/Sao_Paulo',
  'Pacific/Apia',
]

/** Boundaries from the anchor on. */
function boundaries(anchor: Date, timeZone: string, interval: 'month' | 'year', count: number): Date[] {
  const found = [anchor]
  for (let index = 0; index < count; index++)
    found.push(boundaryAfter({ anchor, timeZone, interval }, found.at(-1) as Date))
  return found
}

const local = (time: Date, timeZone: string) =>
  Temporal.Instant.fromEpochMilliseconds(time.getTime()).toZonedDateTimeISO(timeZone).toPlainDateTime().toString()

t.test('a year of months from 31 January keeps the wall clock of New York and of Kolkata', async (t) => {
  const days = [
    '01-31',
    '02-28',
    '03-31',
    '04-30',
    '05-31',
    '06-30',
    '07-31',
    '08-31',
    '09-30',
    '10-31',
    '11-30',
    '12-31',
  ]
  for (const timeZone of ['America/New_York', 'Asia/Kolkata']) {
    const anchor = new Date(Temporal.ZonedDateTime.from(`2026-01-31T09:30:00[${timeZone}]`).epochMilliseconds)
    const year = boundaries(anchor, timeZone, 'month', 12).map((time) => local(time, timeZone))
    t.same(year, [...days.map((day) => `2026-${day}T09:30:00`), '2027-01-31T09:30:00'], timeZone)
  }
})

t.test('29 February is the last of February in other years, and 29 again in the next leap year', async (t) => {
  const years = boundaries(new Date('2024-02-29T12:00:00Z'), 'UTC', 'year', 4)
  t.same(
    years.map((time) => time.toISOString().slice(0, 10)),
    ['2024-02-29', '2025-02-28', '2026-02-28', '2027-02-28', '2028-02-29'],
  )
})

t.test('a wall clock time that a change of the clock leaves out or shows twice is one time', async (t) => {
  const missing = new Date('2026-02-08T07:30:00Z')
  t.equal(
    boundaryAfter({ anchor: missing, timeZone: 'America/New_York', interval: 'month' }, missing).toISOString(),
    '2026-03-08T07:30:00.000Z',
  )
  const twice = new Date('2026-10-01T05:30:00Z')
  t.equal(
    boundaryAfter({ anchor: twice, timeZone: 'America/New_York', interval: 'month' }, twice).toISOString(),
    '2026-11-01T05:30:00.000Z',
  )
})

t.test('periods tile time and their hours tile hours, from any anchor in any zone', async () => {
  const anchors = fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2030, 0, 1) })
  const property = fc.property(
    anchors,
    fc.constantFrom(...ZONES),
    fc.constantFrom('month', 'year'),
    (ms, timeZone, interval) => {
      const anchor = wholeSecond(new Date(ms))
      const grid = { anchor, timeZone, interval } as const
      const found = boundaries(anchor, timeZone, grid.interval, 14)
      let usageTo: Date | null = null
      found.slice(1).forEach((endsAt, index) => {
        const startsAt = found[index] as Date
        if (endsAt <= startsAt) throw new Error('a period ends before it begins')
        const inside = new Date((startsAt.getTime() + endsAt.getTime()) / 2)
        for (const after of [startsAt, inside, new Date(endsAt.getTime() - 1)])
          if (boundaryAfter(grid, after).getTime() !== endsAt.getTime())
            throw new Error(`${after.toISOString()} ends elsewhere`)
        const hours = usageHours(startsAt, endsAt, usageTo)
        if (usageTo && hours.usageFrom.getTime() !== (usageTo as Date).getTime())
          throw new Error('a gap or an overlap of hours')
        if (hours.usageFrom.getTime() % HOUR_MS !== 0 || hours.usageTo.getTime() % HOUR_MS !== 0)
          throw new Error('not an hour')
        if (hours.usageTo <= hours.usageFrom) throw new Error('no hours')
        usageTo = hours.usageTo
      })
    },
  )
  fc.assert(property, { numRuns: 400 })
})
