import fc from 'fast-check'
import t from 'tap'
import { readMeasure } from '../../src/domains/billing/meters/measure.ts'
import { createMeasuring, quantityOf } from '../../src/domains/billing/meters/measuring.ts'
import type { MeterDefinition } from '../../src/domains/billing/meters/schemas.ts'
import type { FieldError } from '../../src/errors.ts'
import { newId } from '../../src/ids.ts'
import { type Copy, type NaiveMeter, naiveMeasure, storeCopies } from '../helpers/naive-meter.ts'
import { startPipeline } from '../helpers/pipeline.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const pipeline = await startPipeline(t)
const { clickhouse } = pipeline
const measuring = createMeasuring(pipeline)
const START = Date.UTC(2026, 0, 30)
const NAMES = ['Called', "it's; DROP TABLE events --", '{organizationId:String}', '名前\n\t"quoted"', '\\']

function measureOf(meter: Omit<MeterDefinition, 'name'>) {
  const faults: FieldError[] = []
  const measure = readMeasure({ name: 'Tested', ...meter }, faults)
  if (faults.length > 0) throw new Error(JSON.stringify(faults))
  return measure
}

const METERS: NaiveMeter[] = [
  { aggregation: 'count' },
  { aggregation: 'count', events: NAMES.slice(1, 3) },
  ...(['sum', 'max', 'unique', 'latest'] as const).map((aggregation) => ({ aggregation, property: "a'b" })),
]

const numbers = [0, -1, 0.1, 0.2, 1.005, 123456789.25, -0.000001, 1e-13, 5e-7, 1e21, -3e25, 1e30, 2e30, 12345678901234]
const value = fc.oneof(
  fc.constantFrom<unknown>(...numbers, '5', 'NaN', null, true, [1], { b: 1 }, undefined, ''),
  fc.integer({ min: -1000, max: 1000 }),
)

/** Copies of events in two organizations with two projects each; few ids, so that many are copies of one event. */
const ledgers = fc
  .array(
    fc.record({
      place: fc.nat(3),
      name: fc.constantFrom(...NAMES),
      id: fc.nat(12),
      day: fc.constantFrom(0, 3, 4, 9),
      ms: fc.nat(DAY_MS - 1),
      value,
      part: fc.nat(3),
      repeated: fc.boolean(),
    }),
    { minLength: 1, maxLength: 60 },
  )
  .map((rows) => {
    const organizations = [newId('org'), newId('org')]
    const projects = [0, 1, 2, 3].map(() => newId('prj'))
    const copies = rows.map(({ place, name, id, day, ms, value, part, repeated }, index) => {
      const copy: Copy = {
        organizationId: organizations[place >> 1] ?? '',
        projectId: projects[place] ?? '',
        event: name,
        messageId: `m'${id}`,
        timestampMs: START + day * DAY_MS + ms,
        // Each receipt is a moment of its own, in no order of the times of the events or of the parts.
        receivedMs: START + 11 * DAY_MS + ((index * 7919) % 997) * 60_000,
        properties: JSON.stringify({ other: { "a'b": 7 }, "a'b": value }),
      }
      return { copy, part, repeated }
    })
    return { organizations, projects, copies }
  })

t.test('every aggregation is what a count by hand says, whatever is stored twice, late, or merged', async (t) => {
  await fc.assert(
    fc.asyncProperty(ledgers, fc.nat(10 * DAY_MS), fc.nat(10 * DAY_MS), async (ledger, one, other) => {
      const copies = ledger.copies.map(({ copy }) => copy)
      const cutOff = START + 11 * DAY_MS + 400 * 60_000
      const span = { fromMs: START + Math.min(one, other), toMs: START + Math.max(one, other) + 1 }
      const extents = [
        { fromMs: START, toMs: START + 10 * DAY_MS },
        span,
        { ...span, receivedThroughMs: cutOff },
        { ...span, receivedAfterMs: cutOff },
        { ...span, projectId: ledger.projects[0] },
      ]
      const check = async (known: readonly Copy[]) => {
        for (const organizationId of ledger.organizations)
          for (const [at, meter] of METERS.entries())
            for (const extent of [extents[at % extents.length] ?? span, extents[(at + 2) % extents.length] ?? span]) {
              const { property, ...rest } = meter
              const measure = measureOf({ ...rest, ...(property && { property: `properties.${property}` }) })
              const expected = naiveMeasure(meter, { ...extent, organizationId }, known)
              t.strictSame(await measuring.whole(organizationId, measure, extent), expected, '', { meter, extent })
            }
      }
      for (const part of [0, 1, 2, 3])
        await storeCopies(
          pipeline,
          ledger.copies.filter((row) => row.part === part).map(({ copy }) => copy),
        )
      await check(copies)
      await storeCopies(
        pipeline,
        ledger.copies.filter((row) => row.repeated).map(({ copy }) => copy),
      )
      await check(copies)
      await clickhouse.client.command({ query: 'OPTIMIZE TABLE events FINAL' })
      await check(copies)
      if (!t.passing()) throw new Error('differs')
    }),
    { seed: 20261123, numRuns: 5, endOnFailure: true },
  )
})

t.test('hours, days, projects, names and groups are parts of the whole, and so are their hashes', async (t) => {
  const organizationId = newId('org')
  const projects = [newId('prj'), newId('prj')] as const
  const copies = Array.from(
    { length: 200 },
    (_, index): Copy => ({
      organizationId: index % 10 === 9 ? newId('org') : organizationId,
      projectId: projects[index % 2] ?? '',
      event: NAMES[index % NAMES.length] ?? '',
      messageId: String(index),
      timestampMs: START + ((index * 7_919_000) % (2 * DAY_MS)),
      receivedMs: START + 2 * DAY_MS + index,
      properties: JSON.stringify({ bytes: index / 8 - 3, plan: index % 3 === 0 ? null : `p${index % 3}` }),
    }),
  )
  await storeCopies(pipeline, copies)
  const measure = measureOf({ aggregation: 'sum', property: 'bytes', groupBy: ['properties.plan', 'event'] })
  const extent = { fromMs: START, toMs: START + 2 * DAY_MS }
  const whole = await measuring.whole(organizationId, measure, extent)
  t.equal(whole.rowCount, 180n)
  for (const by of [['hour'], ['day'], ['project'], ['event'], ['group'], ['hour', 'project']] as const) {
    const parts = await measuring.split(organizationId, measure, extent, by)
    t.ok(parts.length > 1, by.join())
    t.equal(
      parts.reduce((sum, { value }) => sum + Number(value), 0),
      Number(whole.value),
      `${by.join()}: values`,
    )
    t.equal(
      parts.reduce((sum, { rowCount }) => sum + rowCount, 0n),
      whole.rowCount,
      `${by.join()}: rows`,
    )
    const hash = parts.reduce((sum, { contentHash }) => sum + BigInt(`0x${contentHash}`), 0n) % 2n ** 256n
    t.equal(hash.toString(16).padStart(64, '0'), whole.contentHash, `${by.join()}: hashes`)
  }
  const hours = await measuring.split(organizationId, measure, extent, ['hour'])
  t.equal(hours[0]?.keys[0], String(START / HOUR_MS))
  const groups = (await measuring.split(organizationId, measure, extent, ['group'])).map(({ keys }) =>
    JSON.parse(keys[0] ?? ''),
  )
  t.ok(
    groups.some(([plan, event]) => plan === null && event === NAMES[1]),
    'without the field: null',
  )
})

t.test('what is priced are whole units, and nothing below zero', async (t) => {
  t.equal(quantityOf({ value: '2.5' }), 3n)
  t.equal(quantityOf({ value: '2.499999999999' }), 2n)
  t.equal(quantityOf({ value: '-7' }), 0n)
  t.equal(quantityOf({ value: '1000000000000000000000000000000' }), 10n ** 30n)
})

t.test('a definition names each of its faults', async (t) => {
  const faultsOf = (definition: object) => {
    const faults: FieldError[] = []
    readMeasure({ name: 'Tested', ...definition } as MeterDefinition, faults)
    return faults.map(({ path }) => path)
  }
  t.same(faultsOf({ aggregation: 'count', property: 'a' }), ['/property'])
  t.same(faultsOf({ aggregation: 'sum' }), ['/property'])
  t.same(faultsOf({ aggregation: 'max', property: 'timestamp' }), [], 'a property may be called so')
  t.same(faultsOf({ aggregation: 'unique', property: 'timestamp' }), ['/property'])
  t.same(faultsOf({ aggregation: 'unique', property: 'userId' }), [])
  t.same(
    faultsOf({
      aggregation: 'latest',
      property: 'properties..a',
      events: ['a', '\ud800'],
      filters: [{ field: 'nothing', operator: 'eq', value: 1 }],
      groupBy: ['event', 'receivedAt'],
    }),
    ['/events/1', '/property', '/filters/0/field', '/groupBy/1'],
  )
})
