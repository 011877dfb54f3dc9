import fc from 'fast-check'
import t from 'tap'
import { createEventCheck } from '../../src/domains/tracking-plans/check.ts'
import { schemaFaults } from '../../src/domains/tracking-plans/dialect.ts'
import { FORMATS, hasFormat } from '../../src/domains/tracking-plans/formats.ts'
import type { JsonSchema } from '../../src/domains/tracking-plans/keywords.ts'
import { compilePattern } from '../../src/domains/tracking-plans/pattern.ts'
import { createPlan, type StoredPlan } from '../../src/domains/tracking-plans/plan.ts'
import { seededRandom } from '../helpers/insights.ts'

const HOSTILE_MS = 50

const describing = (properties: JsonSchema, more: JsonSchema = {}): JsonSchema => ({
  type: 'object',
  properties: { properties: { type: 'object', properties, ...more } },
})

/** Violations of an event with these properties as `pointer keyword`, sorted. */
function violationsOf(schema: JsonSchema, properties: Record<string, unknown>): string[] {
  const violations = createEventCheck(schema)({ event: 'Tested', properties }) ?? []
  return violations.map(({ path, keyword }) => `${path} ${keyword}`).sort()
}

/** The shortest of a few times, and of this thread alone, as other processes share the machine. */
function shortestMs(run: () => unknown): number {
  const times = Array.from({ length: 3 }, () => {
    const before = process.threadCpuUsage()
    run()
    const { user, system } = process.threadCpuUsage(before)
    return (user + system) / 1000
  })
  return Math.min(...times)
}

t.test('an event that meets its schema has no violations, and every keyword finds what breaks it', async (t) => {
  const cases: [schema: JsonSchema, good: unknown[], bad: unknown[]][] = [
    [{ type: 'string' }, ['', 'a'], [1, null, {}, [], true]],
    [{ type: ['integer', 'null'] }, [1, 1.0, null], [1.5, '1']],
    [{ enum: ['a', 1, null] }, ['a', 1, null], ['b', '1', false]],
    [{ enum: Array.from({ length: 40 }, (_, index) => `v${index}`) }, ['v0', 'v39'], ['v40', 0, null]],
    [{ const: 'a' }, ['a'], ['b', null]],
    [{ type: 'string', minLength: 2, maxLength: 3 }, ['ab', '😀😀😀'], ['a', 'abcd']],
    [{ type: 'string', pattern: '^[A-Z]{2}\\d+$' }, ['DE1', 'DE123'], ['DE', 'xDE1', '']],
    [{ type: 'string', format: 'email' }, ['ana@example.com'], ['ana', 'ana@', '@example.com', 'a@b']],
    [{ type: 'string', format: 'date-time' }, ['2026-02-28T23:59:59Z'], ['2026-02-29T00:00:00Z', '2026-01-01']],
    [{ type: 'number', minimum: 0, exclusiveMaximum: 10 }, [0, 9.99], [-1, 10]],
    [{ type: 'number', multipleOf: 0.01 }, [0.29, 49.9], [0.295]],
    [{ type: 'array', items: { type: 'string' }, minItems: 1, maxItems: 2 }, [['a']], [[], [1], ['a', 'b', 'c']]],
    [{ type: 'object', required: ['toString'] }, [{ toString: 1 }], [{}]],
    [{ type: 'object', additionalProperties: false, properties: { a: {} } }, [{}, { a: 1 }], [{ b: 1 }]],
    [{ type: 'object', additionalProperties: { type: 'number' } }, [{ a: 1 }], [{ a: '1' }]],
    [{ type: 'object', minProperties: 1, maxProperties: 1 }, [{ a: 1 }], [{}, { a: 1, b: 1 }]],
    [{ anyOf: [{ type: 'string' }, { type: 'number', minimum: 1 }] }, ['a', 1], [0, null]],
    [{ oneOf: [{ type: 'number' }, { type: 'integer' }] }, [1.5], [1, 'a']],
    [{ allOf: [{ type: 'string' }, { not: { const: 'a' } }] }, ['b'], ['a', 1]],
  ]
  for (const [schema, good, bad] of cases) {
    t.same(schemaFaults(describing({ value: schema }), ''), [], JSON.stringify(schema))
    const check = createEventCheck(describing({ value: schema }))
    for (const value of good)
      t.equal(check({ event: 'Tested', properties: { value } }), null, JSON.stringify([schema, value]))
    for (const value of bad) {
      const [violation] = check({ event: 'Tested', properties: { value } }) ?? []
      t.match(violation?.path, /^\/properties\/value/, JSON.stringify([schema, value]))
    }
  }
})

t.test('a violation names the field inside the event, and counts by the field of the schema', async (t) => {
  const lines = {
    type: 'array',
    items: { type: 'object', properties: { 'sku/no': { type: 'string' } }, required: ['price'] },
  }
  const check = createEventCheck(describing({ lines }, { additionalProperties: false, required: ['total'] }))
  const violations = check({ event: 'Tested', properties: { lines: [{ price: 1 }, { 'sku/no': 7 }], ana: 1 } }) ?? []
  t.same(violations.map(({ path, field, keyword }) => `${path} ${field} ${keyword}`).sort(), [
    '/properties/ana /properties/* additionalProperties',
    '/properties/lines/1/price /properties/lines/*/price required',
    '/properties/lines/1/sku~1no /properties/lines/*/sku~1no type',
    '/properties/total /properties/total required',
  ])
  t.match(check({ event: 'Tested' }), [{ path: '/properties/total' }], 'what is not sent counts as empty')
  t.same(violationsOf(describing({}, { required: ['constructor', '__proto__'] }), {}), [
    '/properties/__proto__ required',
    '/properties/constructor required',
  ])
})

t.test('a plan tells planned events from others, and other calls from tracked events', async (t) => {
  const stored: StoredPlan = {
    version: 3,
    mode: 'reject',
    unplannedEvents: 'warn',
    schemas: [{ event: 'Planned', version: 2, schema: describing({ total: { type: 'number' } }) }],
  }
  const plan = createPlan(stored, null)
  if (!plan) return t.fail('there is a plan')
  const broken = plan.check({ event: 'Planned', properties: { total: '1' } }) ?? []
  t.match([plan.version, plan.mode, plan.unplanned, plan.actionFor(broken)], [3, 'reject', 'warn', 'reject'])
  t.same([plan.has('Planned'), plan.has('Unknown')], [true, false])
  const unknown = plan.check({ event: 'Unknown' }) ?? []
  t.match(unknown, [{ path: '/event', keyword: 'planned' }])
  t.equal(plan.actionFor(unknown), 'warn')
  t.equal(plan.check({ event: 'Page Viewed', type: 'page' }), null)
  t.equal(createPlan({ ...stored, unplannedEvents: 'allow' }, plan)?.check({ event: 'Unknown' }), null)
  t.equal(createPlan({ ...stored, unplannedEvents: 'allow', schemas: [] }, plan), null, 'nothing to check')
  t.ok(createPlan({ ...stored, schemas: [] }, plan)?.check({ event: 'Planned' }))
})

t.test('a schema outside the dialect is refused by the keyword that is wrong', async (t) => {
  const nested = (levels: number): JsonSchema => (levels === 0 ? {} : { type: 'array', items: nested(levels - 1) })
  const many = (count: number, schema: JsonSchema) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, schema]))
  const value = (schema: unknown) => describing({ value: schema as JsonSchema })
  const at = '/schema/properties/properties/properties/value'
  const cases: [schema: unknown, path: string][] = [
    [[], '/schema'],
    [{}, '/schema/properties'],
    [{ properties: { other: { type: 'object' } } }, '/schema/properties/other'],
    [{ properties: { traits: { type: 'string' } } }, '/schema/properties/traits'],
    [{ ...describing({}), required: ['properties'] }, '/schema/required'],
    [{ ...describing({}), $schema: 'http://json-schema.org/draft-07/schema#' }, '/schema/$schema'],
    [value({ $ref: '#' }), `${at}/$ref`],
    [value({ $ref: 'file:///etc/passwd' }), `${at}/$ref`],
    [value({ tsType: 'string }; evil()' }), `${at}/tsType`],
    [value({ constructor: {} }), `${at}/constructor`],
    [value({ type: 'object', patternProperties: {} }), `${at}/patternProperties`],
    [value({ type: 'array', uniqueItems: true }), `${at}/uniqueItems`],
    [value(true), at],
    [value({ type: 'text' }), `${at}/type`],
    [value({ type: 'string', minimum: 1 }), `${at}/minimum`],
    [value({ minLength: 1 }), `${at}/minLength`],
    [value({ type: 'string', minLength: -1 }), `${at}/minLength`],
    [value({ type: 'string', format: 'regex' }), `${at}/format`],
    [value({ type: 'string', pattern: '(' }), `${at}/pattern`],
    [value({ type: 'string', pattern: '(a)\\1' }), `${at}/pattern`],
    [value({ type: 'string', pattern: '(?=a)' }), `${at}/pattern`],
    [value({ type: 'string', pattern: '(((a{9}){99}){99}){99}' }), `${at}/pattern`],
    [value({ type: 'string', pattern: '('.repeat(400) }), `${at}/pattern`],
    [value({ enum: [] }), `${at}/enum`],
    [value({ enum: [{}] }), `${at}/enum`],
    [value({ enum: Array.from({ length: 501 }, (_, index) => index) }), `${at}/enum`],
    [value({ anyOf: [] }), `${at}/anyOf`],
    [value({ anyOf: [1] }), `${at}/anyOf/0`],
    [value({ anyOf: Array(33).fill({}) }), '/schema'],
    [value(nested(15)), `${at}${'/items'.repeat(15)}`],
    [describing(many(300, {})), '/schema'],
    [describing(many(51, { type: 'string', pattern: 'a' })), '/schema'],
    [describing(many(299, { type: 'string', description: 'x'.repeat(200) })), '/schema'],
    [describing(JSON.parse('{"__proto__":{}}')), '/schema/properties/properties/properties'],
  ]
  for (const [schema, path] of cases) {
    const faults = schemaFaults(schema, '/schema')
    t.ok(
      faults.some((fault) => fault.path === path),
      `${JSON.stringify(schema).slice(0, 100)}: ${JSON.stringify(faults).slice(0, 300)}`,
    )
  }
  t.same(schemaFaults(describing(many(290, { type: 'string' })), ''), [])
  t.same(schemaFaults(value(nested(13)), ''), [])
})

t.test('patterns match what the expressions of the language match', async (t) => {
  const atoms = [
    'a',
    'b',
    '😀',
    '.',
    '\\d',
    '\\W',
    '\\s',
    '[ab]',
    '[^a]',
    '[a-c\\-]',
    '^',
    '$',
    '\\u{1F600}',
    '\\x61',
    '\\n',
    '[^]',
    '[]',
  ]
  const { pattern } = fc.letrec<{ pattern: string; part: string }>((tie) => ({
    part: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(...atoms),
      fc
        .tuple(tie('pattern'), fc.constantFrom('(', '(?:', '(?<n>'))
        .map(([inside, open]) => `${open}${inside.replaceAll('(?<n>', '(')})`),
      fc
        .tuple(tie('part'), fc.constantFrom('*', '+', '?', '{2}', '{0,2}', '{1,}', '*?'))
        .map(([one, many]) => (one === '^' || one === '$' || /[*+?}]$/.test(one) ? one : one + many)),
    ),
    pattern: fc
      .array(
        fc.array(tie('part'), { maxLength: 4 }).map((parts) => parts.join('')),
        { minLength: 1, maxLength: 2 },
      )
      .map((options) => options.join('|')),
  }))
  const text = fc
    .array(fc.constantFrom('a', 'b', 'c', '1', '-', ' ', '\n', '😀', '\ud83d'), { maxLength: 6 })
    .map((parts) => parts.join(''))
  let compared = 0
  fc.assert(
    fc.property(pattern, fc.array(text, { minLength: 5, maxLength: 5 }), (source, texts) => {
      let native: RegExp
      try {
        // The prefix keeps V8 from looking at the end alone, where it takes half of a pair for a character: /[^a]$/u misses '😀'.
        native = new RegExp(`^[^]*?(?:${source})`, 'u')
      } catch {
        return true
      }
      const own = compilePattern(source)
      compared++
      return texts.every((one) => own.test(one, { left: 1_000_000 }) === native.test(one))
    }),
    { numRuns: 2000, seed: 7 },
  )
  t.ok(compared > 1500, `${compared} were compared`)
})

t.test('no pattern, no format and no schema takes long over any event', async (t) => {
  const random = seededRandom(2)
  const noise = Array.from({ length: 60_000 }, () => (random() < 0.5 ? 'a' : 'b')).join('')
  const long = `${'a'.repeat(60_000)}${noise}${'xab'.repeat(40_000)}`
  const patterns = [
    '^(a+)+$',
    '(x+x+)+y',
    '^(([a-z])+.)+[A-Z]([a-z])+$',
    '(a|b)*a(a|b){60}c',
    '(.*)*=.*',
    '(a?){60}a{60}b',
    '^(.{0,80}a){3}$',
  ]
  for (const pattern of patterns) {
    const schema = describing({ value: { type: 'string', pattern } })
    t.same(schemaFaults(schema, ''), [], pattern)
    const check = createEventCheck(schema)
    check({ event: 'Tested' })
    const elapsedMs = shortestMs(() => check({ event: 'Tested', properties: { value: long } }))
    t.ok(elapsedMs < HOSTILE_MS, `${pattern}: ${elapsedMs} ms`)
  }
  for (const format of Object.keys(FORMATS)) {
    for (const text of [
      long,
      'a.'.repeat(1000),
      `${'a'.repeat(60)}@${'a-'.repeat(900)}`,
      '1:'.repeat(1000),
      `http://${'a/'.repeat(1000)}`,
    ]) {
      const elapsedMs = shortestMs(() => hasFormat(format, text))
      t.ok(elapsedMs < 5, `${format}: ${elapsedMs} ms`)
    }
  }
  const branches = (of: (index: number) => JsonSchema) => Array.from({ length: 32 }, (_, index) => of(index))
  const items = Array.from({ length: 60_000 }, (_, index) => `v${index % 500}`)
  const values = Array.from({ length: 500 }, (_, index) => `w${index}`)
  const schemas = {
    'branches over a long array': {
      anyOf: branches((index) => ({ type: 'array', items: { type: 'string', minLength: index + 9 } })),
    },
    'branches in a long array': { type: 'array', items: { anyOf: branches((index) => ({ const: `x${index}` })) } },
    'patterns in a long array': {
      type: 'array',
      items: { allOf: branches((index) => ({ type: 'string', pattern: `(a|v)*a(a|b){${index + 9}}c` })) },
    },
    'long lists in a long array': { type: 'array', items: { not: { enum: values } } },
  }
  for (const [name, value] of Object.entries(schemas)) {
    const schema = describing({ value })
    t.same(schemaFaults(schema, ''), [], name)
    const check = createEventCheck(schema)
    check({ event: 'Tested', properties: { value: ['a'] } })
    const elapsedMs = shortestMs(() => check({ event: 'Tested', properties: { value: items } }))
    t.ok(elapsedMs < HOSTILE_MS, `${name}: ${elapsedMs} ms`)
  }
  const allWrong = createEventCheck(describing({ value: { type: 'array', items: { type: 'number' } } }))
  t.equal(allWrong({ event: 'Tested', properties: { value: items.slice(0, 900) } })?.length, 20)
  t.equal(allWrong({ event: 'Tested', properties: { value: items } })?.length, 1)
})

t.test('a text that a pattern cannot finish is a violation, also where the pattern must not match', async (t) => {
  const pattern = '(a|b)*a(a|b){60}c'
  // Texts without a rhythm, so that the machine meets a new set of states with every character.
  const random = seededRandom(1)
  const noise = Array.from({ length: 100_000 }, () => (random() < 0.5 ? 'a' : 'b')).join('')
  const check = createEventCheck(describing({ value: { type: 'string', not: { type: 'string', pattern } } }))
  t.equal(check({ event: 'Tested', properties: { value: 'harmless' } }), null)
  t.match(check({ event: 'Tested', properties: { value: noise } }), [{ keyword: 'pattern', path: '' }])
})
