import fc from 'fast-check'
import t from 'tap'
import { fieldsOf } from '../../src/domains/events/parse-event.ts'
import { type EventFields, readPlainBody, readPlainLines } from '../../src/domains/events/plain-body.ts'
import { fromBytes, toBytes } from '../../src/domains/events/row.ts'

const RUNS = 6000

const text = fc.oneof(fc.string({ maxLength: 12 }), fc.string({ unit: 'binary', maxLength: 8 }))
const name = fc.oneof(fc.constantFrom('total', 'price', 'a', '__proto__', 'constructor', ''), text)
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(text, fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.bigInt().map(Number)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(name, tie('value'), { maxKeys: 5 }),
  ),
})).value
const bag = fc.dictionary(name, json, { maxKeys: 6 })
const time = fc.oneof(
  fc.date({ min: new Date(0), max: new Date('2199-12-31'), noInvalidDate: true }).map((date) => date.toISOString()),
  fc.constantFrom(
    '2026-02-30T00:00:00.000Z',
    '2026-01-01T24:00:00.000Z',
    '2026-01-01',
    '2026-01-01T10:00:00+02:00',
    'x',
  ),
  fc.integer({ min: -5, max: 2_000_000_000_000 }),
)
const event = fc.record(
  {
    event: fc.oneof(fc.constantFrom('Page Viewed', 'Bestellung aufgegeben ✓'), text),
    messageId: fc.oneof(fc.uuid(), text),
    type: fc.constantFrom('track', 'page', 'nothing'),
    userId: text,
    anonymousId: text,
    groupId: text,
    timestamp: time,
    properties: bag,
    traits: bag,
    context: bag,
  },
  { requiredKeys: ['event'] },
)

const parsed = (source: string): unknown => {
  try {
    return JSON.parse(source)
  } catch {
    return undefined
  }
}
const bagOf = (bytes: string): unknown => (bytes === '' ? undefined : JSON.parse(fromBytes(bytes)))
const meaning = (fields: EventFields) => ({
  ...fields,
  ...{ properties: bagOf(fields.properties), traits: bagOf(fields.traits), context: bagOf(fields.context) },
})

/** Holds the fast way against the parser: whatever it reads, the parser reads too, and finds valid, and understands the same by it. */
function agrees(source: string): 'read' | 'left to the parser' {
  const plain = readPlainBody(toBytes(source))
  if (!plain) return 'left to the parser'
  const value = parsed(source)
  const events = Array.isArray(value) ? value : isBatch(value) ? value.batch : [value]
  const expected = events.map((item) => {
    const fields = fieldsOf(item)
    if ('rejection' in fields) throw new Error(`${JSON.stringify(fields.rejection)} was read from ${source}`)
    return meaning(fields)
  })
  const got = plain.events.map(meaning)
  if (JSON.stringify(got) !== JSON.stringify(expected)) throw new Error(`${source} was read as ${JSON.stringify(got)}`)
  return 'read'
}

const isBatch = (value: unknown): value is { batch: unknown[] } =>
  typeof value === 'object' && value !== null && 'batch' in value && Array.isArray(value.batch)

t.test('whatever the fast way reads means what the parser reads', async (t) => {
  const outcomes = { read: 0, 'left to the parser': 0 }
  const body = fc.oneof(event, fc.array(event, { maxLength: 3 }), fc.record({ sentAt: time, batch: fc.array(event) }))
  const spaces = fc.constantFrom(undefined, 1, '\t')
  fc.assert(
    fc.property(body, spaces, (value, space) => void outcomes[agrees(JSON.stringify(value, null, space))]++),
    { numRuns: RUNS },
  )
  t.ok(outcomes.read > RUNS / 20, `read: ${outcomes.read}`)
  t.ok(outcomes['left to the parser'] > RUNS / 20)
})

t.test('a body with any character changed, lost or doubled is never read as something that it is not', async (t) => {
  const outcomes = { read: 0, 'left to the parser': 0 }
  const noise = fc.constantFrom(
    ...'{}[]",:0123456789.-+eE\\/utrfn \n\t\0\u001f\u007fé',
    '__proto__',
    '\\ud800',
    '1e400',
  )
  const properties = { total: 12.5, list: [1, true, null], nested: { name: 'a\nb' } }
  const plain = fc
    .record({ messageId: fc.uuid(), timestamp: time, userId: fc.constantFrom('user-17', 'Jürgen') })
    .map((value) => JSON.stringify({ event: 'Tested', ...value, properties }))
  const mutated = fc.tuple(plain, fc.nat(), fc.constantFrom(0, 1, 2), noise).map(([source, at, cut, insert]) => {
    const place = at % source.length
    // A body is UTF-8, which has no halves of characters.
    return (source.slice(0, place) + insert + source.slice(place + cut)).toWellFormed()
  })
  fc.assert(
    fc.property(mutated, (source) => void outcomes[agrees(source)]++),
    { numRuns: RUNS },
  )
  t.ok(outcomes.read > RUNS / 20, `read: ${outcomes.read}`)
})

t.test('what a column would hold differently from how it was sent is left to the parser', async (t) => {
  const doubtful = {
    'an exponent': '{"n":1e5}',
    'an infinite number': '{"n":1e400}',
    'a larger integer than a double holds': '{"n":12345678901234567}',
    'two members of one name': '{"a":1,"b":{"a":2},"a":3}',
    'half of a character': '{"s":"\\ud83d"}',
    'a prototype': '{"__proto__":{}}',
    'an escaped name': '{"\\u0061":1}',
    'a control character': '{"s":"\u0001"}',
    'a number with a leading zero': '{"n":01}',
    'an unfinished number': '{"n":1.}',
    'a trailing comma': '{"n":1,}',
    'nesting past the limit': `{"d":${'['.repeat(32)}${']'.repeat(32)}}`,
  }
  for (const [what, properties] of Object.entries(doubtful))
    t.equal(readPlainBody(`{"event":"Tested","properties":${properties}}`), null, what)
  const nested = `{"event":"Tested","properties":{"d":${'['.repeat(31)}${']'.repeat(31)}}}`
  t.ok(readPlainBody(nested), 'nesting up to the limit is not')
  const manyNames = JSON.stringify(Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`n${index}`, index])))
  t.equal(readPlainBody(`{"event":"Tested","properties":${manyNames}}`), null, 'too many names to compare')
  for (const body of [
    '',
    '[]x',
    '{}',
    '{"event":"a"}{"event":"b"}',
    '{"event":"a","event":"b"}',
    '{"event":"a","plan":1}',
  ])
    t.equal(readPlainBody(body), null, body)
})

t.test('lines are read one event each', async (t) => {
  const events = readPlainLines('{"event":"a"}\n\n {"event":"b"} \r\n{"event":"c"}\n')?.events.map(({ event }) => event)
  t.same(events, ['a', 'b', 'c'])
  for (const body of ['{"event":"a"} {"event":"b"}', '{"event":\n"a"}', '{"event":"a"}\nnull', '[{"event":"a"}]'])
    t.equal(readPlainLines(body), null, body)
})
