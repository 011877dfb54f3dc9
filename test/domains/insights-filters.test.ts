import { Type } from '@sinclair/typebox'
import t from 'tap'
import { readFilters } from '../../src/domains/insights/conditions.ts'
import { formatField, parseField } from '../../src/domains/insights/fields.ts'
import { compileConditions } from '../../src/domains/insights/filters.ts'
import { createFilterPredicate, createInsightsService, type FilterSchema } from '../../src/domains/insights/index.ts'
import { createParameters } from '../../src/domains/insights/parameters.ts'
import { type FieldError, Problem } from '../../src/errors.ts'
import { newId } from '../../src/ids.ts'
import { newEvent, openEventStore, someDevice, someGeo, someSource, type TestEvent } from '../helpers/insights.ts'

const INJECTION = `x') OR 1=1 -- {p0:String} \\' \\\\ ? \u0000`

/** Every event has a letter; the cases below name the letters that a filter finds. */
const EVENTS: Record<string, Partial<TestEvent>> = {
  a: {
    geo: someGeo({ country: 'DE', city: 'Köln' }),
    device: someDevice({ type: 'mobile', browserVersion: '9' }),
    isBot: true,
    botSignals: 'userAgent+headers',
    userId: 'u1',
    anonymousId: 'n1',
    properties: { total: 5, plan: 'pro', ok: true, tags: ['red', 'blue'] },
  },
  b: {
    geo: someGeo({ country: 'FR' }),
    ip: '91.12.34.0',
    source: someSource({ channel: 'email', utmCampaign: INJECTION }),
    anonymousId: 'n1',
    properties: { total: '5', plan: 'Pro', ok: 'true', tags: 'red' },
  },
  c: { userId: 'u2', properties: { total: 5.5, plan: '', ok: false, tags: [] } },
  d: { properties: { total: null, plan: null, nested: { deep: { er: -1 } } }, event: 'Other' },
  e: { properties: { total: 2 ** 53 + 2, plan: 'é😀/"\\\n\t\u0000', 'a.b': 1, 'q"\\': 'k' }, groupId: 'g' },
  f: { properties: { total: [5], plan: { x: 'pro' }, nested: { deep: 7 } }, traits: { plan: 'pro' } },
  g: { properties: { total: 1e300, plan: INJECTION, '0': 'zero', tags: [5, 'a/b', null, '\u0000'] }, type: 'page' },
  h: {
    properties: { total: -0.25, plan: 'pro\uffff', ключ: 'да', z: 'Z' },
    context: { page: { url: 'https://x.y/z' } },
  },
  i: {
    properties: { total: 1e-7, plan: 'pro😀', z: 'z' },
    timestamp: '2026-03-02T00:00:00.001Z',
    receivedAt: '2026-03-05T10:00:00.000Z',
    clockSkewMs: -3_600_000,
  },
}
const ALL = Object.keys(EVENTS).join('')
const without = (letters: string) => [...ALL].filter((letter) => !letters.includes(letter)).join('')

type Case = [field: string, operator: FilterSchema['operator'], value: unknown, expected: string]

const CASES: Case[] = [
  ['properties.total', 'eq', 5, 'a'],
  ['properties.total', 'eq', '5', 'b'],
  ['properties.total', 'neq', 5, without('a')],
  ['properties.total', 'in', [5, '5', 5.5], 'abc'],
  ['properties.total', 'notIn', [5, 1e300, 1e-7], without('agi')],
  ['properties.total', 'eq', 9007199254740994, 'e'],
  ['properties.total', 'gt', 5, 'ceg'],
  ['properties.total', 'gte', 5, 'aceg'],
  ['properties.total', 'lt', 5, 'hi'],
  ['properties.total', 'lte', 5, 'ahi'],
  ['properties.total', 'gt', '4', 'b'],
  ['properties.total', 'lt', 0, 'h'],
  ['properties.total', 'isSet', undefined, without('d')],
  ['properties.total', 'isNotSet', undefined, 'd'],
  ['properties.missing', 'isNotSet', undefined, ALL],
  ['properties.missing', 'neq', 'x', ALL],
  ['properties.missing', 'eq', 'x', ''],
  ['properties.plan', 'eq', 'pro', 'a'],
  ['properties.plan', 'eq', '', 'c'],
  ['properties.plan', 'eq', 'é😀/"\\\n\t\u0000', 'e'],
  ['properties.plan', 'eq', INJECTION, 'g'],
  ['properties.plan', 'in', ['pro', 'Pro', INJECTION], 'abg'],
  ['properties.plan', 'contains', 'ro', 'abhi'],
  ['properties.plan', 'contains', '/"\\\n', 'e'],
  ['properties.plan', 'notContains', 'ro', without('abhi')],
  ['properties.plan', 'startsWith', 'pro', 'ahi'],
  ['properties.plan', 'startsWith', `x') OR 1=1`, 'g'],
  ['properties.plan', 'endsWith', '😀', 'i'],
  ['properties.plan', 'gt', 'pro\uffff', 'egi'],
  ['properties.plan', 'lt', 'a', 'bc'],
  ['properties.plan', 'lte', 'pro', 'abc'],
  ['properties.plan', 'isSet', undefined, without('d')],
  ['properties.plan.x', 'eq', 'pro', 'f'],
  ['properties.ok', 'eq', true, 'a'],
  ['properties.ok', 'eq', 'true', 'b'],
  ['properties.ok', 'neq', false, without('c')],
  ['properties.ok', 'in', [true, false, 'true'], 'abc'],
  ['properties.tags', 'contains', 'red', 'ab'],
  ['properties.tags', 'contains', 're', 'b'],
  ['properties.tags', 'contains', 'a/b', 'g'],
  ['properties.tags', 'contains', '\u0000', 'g'],
  ['properties.tags', 'contains', '5', ''],
  ['properties.tags', 'notContains', 'red', without('ab')],
  ['properties.tags', 'startsWith', 'r', 'b'],
  ['properties.tags', 'isSet', undefined, 'abcg'],
  ['properties.nested.deep', 'eq', 7, 'f'],
  ['properties.nested.deep', 'isSet', undefined, 'df'],
  ['properties.nested.deep.er', 'lt', 0, 'd'],
  ['properties.0', 'eq', 'zero', 'g'],
  ['properties.tags.0', 'isSet', undefined, ''],
  ['properties.a\\.b', 'eq', 1, 'e'],
  ['properties.a.b', 'isSet', undefined, ''],
  ['properties.q"\\\\', 'eq', 'k', 'e'],
  ['properties.ключ', 'eq', 'да', 'h'],
  ['properties.z', 'gt', 'Z', 'i'],
  [`properties.${INJECTION.replaceAll('.', '\\.')}`, 'isSet', undefined, ''],
  ['properties.__proto__', 'isSet', undefined, ''],
  ['properties.constructor', 'isSet', undefined, ''],
  ['traits.plan', 'eq', 'pro', 'f'],
  ['context.page.url', 'startsWith', 'https://', 'h'],
  ['event', 'eq', 'Other', 'd'],
  ['event', 'in', ['Tested', 'Other'], ALL],
  ['event', 'notIn', ['Tested'], 'd'],
  ['event', 'contains', 'the', 'd'],
  ['type', 'neq', 'track', 'g'],
  ['userId', 'isSet', undefined, 'ac'],
  ['userId', 'isNotSet', undefined, without('ac')],
  ['userId', 'neq', 'u1', without('a')],
  ['userId', 'lt', 'u2', 'a'],
  ['userId', 'startsWith', 'u', 'ac'],
  ['distinctId', 'in', ['u1', 'n1'], 'ab'],
  ['distinctId', 'isNotSet', undefined, 'defghi'],
  ['anonymousId', 'endsWith', '1', 'ab'],
  ['groupId', 'notContains', 'g', without('e')],
  ['messageId', 'eq', 'message-c', 'c'],
  ['timestamp', 'gt', '2026-03-02T00:00:00Z', 'i'],
  ['timestamp', 'lte', '2026-03-02', without('i')],
  ['timestamp', 'eq', '2026-03-02T01:00:00.001+01:00', 'i'],
  ['timestamp', 'notIn', [1772409600001], without('i')],
  ['geo.country', 'eq', 'DE', 'a'],
  ['geo.country', 'in', ['DE', 'FR'], 'ab'],
  ['geo.country', 'neq', 'DE', without('a')],
  ['geo.country', 'isSet', undefined, 'ab'],
  ['geo.country', 'gt', 'DE', 'b'],
  ['geo.region', 'isNotSet', undefined, ALL],
  ['geo.city', 'contains', 'öl', 'a'],
  ['device.type', 'notIn', ['mobile'], without('a')],
  ['device.browserVersion', 'startsWith', '9', 'a'],
  ['device.os', 'eq', 'mobile', ''],
  ['source.channel', 'endsWith', 'mail', 'b'],
  ['source.utmCampaign', 'eq', INJECTION, 'b'],
  ['ip', 'startsWith', '91.', 'b'],
  ['isBot', 'eq', true, 'a'],
  ['isBot', 'neq', true, without('a')],
  ['isBot', 'eq', false, without('a')],
  ['isBot', 'in', [true, false], ALL],
  ['isBot', 'notIn', [false], 'a'],
  ['isBot', 'isSet', undefined, ALL],
  ['isBot', 'isNotSet', undefined, ''],
  ['botSignals', 'contains', '+', 'a'],
  ['receivedAt', 'gte', 1772704800000, 'i'],
  ['receivedAt', 'isSet', undefined, ALL],
]

t.test('a filter means the same in ClickHouse and in memory, and what the table of cases says', async (t) => {
  const { clickhouse, insert } = await openEventStore(t)
  const [mine, theirs] = [0, 1].map(() => ({ organizationId: newId('org'), projectId: newId('prj') }))
  if (!mine || !theirs) throw new Error('two scopes were made')
  const events = Object.entries(EVENTS).map(([letter, event]) => newEvent({ messageId: `message-${letter}`, ...event }))
  await insert(mine, events)
  await insert(theirs, events)

  const find = async (filter: FilterSchema) => {
    const { bind, values } = createParameters()
    const [condition] = compileConditions(readFilters([filter], '', []), bind)
    const { rows } = await clickhouse.query(mine, {
      sql: `SELECT message_id AS id FROM events FINAL WHERE organization_id = {organizationId:String}
            AND project_id = {projectId:String} AND (${condition}) IN (1) ORDER BY id`,
      params: values,
      schema: Type.Object({ id: Type.String() }),
    })
    return rows.map(({ id }) => id.slice(-1)).join('')
  }

  for (const [field, operator, value, expected] of CASES) {
    const filter = { field, operator, ...(value === undefined ? {} : { value }) }
    const name = JSON.stringify(filter)
    const matches = createFilterPredicate([filter])
    const inMemory = events.filter((event) => matches({ ...event })).map(({ messageId }) => messageId.slice(-1))
    t.equal(inMemory.join(''), expected, `in memory: ${name}`)
    t.equal(await find(filter), expected, `in ClickHouse: ${name}`)
  }
})

t.test('a field is found however its name and its value are escaped in the stored text', async (t) => {
  const { clickhouse, insert } = await openEventStore(t)
  const [mine, theirs] = [0, 1].map(() => ({ organizationId: newId('org'), projectId: newId('prj') }))
  if (!mine || !theirs) throw new Error('two scopes were made')
  const written = (text: string) => newEvent({ properties: text as unknown as Record<string, unknown> })
  const events = [written('{"\\u0074otal":5,"x\\/y":"\\u0061\\/b"}'), written('{ "total" : 5.0e0, "x/y" : "a/b" }')]
  await insert(mine, [...events, written('{"totals":5,"u":"total","nested":{"total":5}}')])
  await insert(theirs, events)
  const insights = createInsightsService({ clickhouse, completeThrough: async () => new Date() })
  const query = { kind: 'trend', from: '2026-03-01', to: '2026-03-02', interval: 'day' } as const
  const filters: FilterSchema[] = [
    { field: 'properties.total', operator: 'eq', value: 5 },
    { field: 'properties.x/y', operator: 'eq', value: 'a/b' },
  ]
  for (const filter of filters) {
    const { data } = await insights.trend(mine, { ...query, series: [{ math: 'count', filters: [filter] }] })
    t.equal(data[0]?.total, 2, filter.field)
  }
  const { data } = await insights.trend(mine, { ...query, series: [{ math: 'sum', property: 'total' }] })
  t.equal(data[0]?.total, 10)
})

t.test('several filters hold together', async (t) => {
  const matches = createFilterPredicate([
    { field: 'properties.total', operator: 'gte', value: 5 },
    { field: 'event', operator: 'eq', value: 'Tested' },
  ])
  t.equal(matches({ event: 'Tested', properties: { total: 5 } }), true)
  t.equal(matches({ event: 'Other', properties: { total: 5 } }), false)
  t.equal(matches({ event: 'Tested', properties: { total: 4 } }), false)
  t.equal(createFilterPredicate([])({}), true)
})

const LONG = 'x'.repeat(1001)
const FAULTS: [filter: Record<string, unknown>, path: string, message: RegExp][] = [
  [{ field: 'total', operator: 'eq', value: 1 }, '/f/1/field', /is not a field; there are event, .*properties\.…/],
  [{ field: 'properties', operator: 'eq', value: 1 }, '/f/1/field', /must name something inside of properties/],
  [{ field: 'properties.', operator: 'eq', value: 1 }, '/f/1/field', /empty part/],
  [{ field: 'properties.a..b', operator: 'eq', value: 1 }, '/f/1/field', /empty part/],
  [{ field: 'properties.a.b.c.d.e.f.g.h.i', operator: 'eq', value: 1 }, '/f/1/field', /8 levels/],
  [{ field: 'properties.\ud800', operator: 'eq', value: 1 }, '/f/1/field', /surrogate/],
  [{ field: 'toString', operator: 'eq', value: 'x' }, '/f/1/field', /is not a field/],
  [{ field: 'geo.zip', operator: 'eq', value: 'x' }, '/f/1/field', /is not a field; there are .*geo\.country/],
  [{ field: 'geo', operator: 'isSet' }, '/f/1/field', /is not a field/],
  [{ field: 'isBot', operator: 'eq', value: 'true' }, '/f/1/value', /must be true or false/],
  [{ field: 'isBot', operator: 'gt', value: true }, '/f/1/operator', /true or false/],
  [{ field: 'isBot', operator: 'contains', value: 'x' }, '/f/1/operator', /true or false/],
  [{ field: 'geo.country', operator: 'eq', value: '' }, '/f/1/value', /isNotSet/],
  [{ field: 'event', operator: 'like', value: 'x' }, '/f/1/operator', /must be one of eq, neq/],
  [{ field: 'event', operator: 'toString', value: 'x' }, '/f/1/operator', /must be one of/],
  [{ field: 'timestamp', operator: 'contains', value: '2026' }, '/f/1/operator', /is a time/],
  [{ field: 'event', operator: 'eq' }, '/f/1/value', /must be a string/],
  [{ field: 'event', operator: 'eq', value: 5 }, '/f/1/value', /must be a string/],
  [{ field: 'event', operator: 'eq', value: '' }, '/f/1/value', /isNotSet/],
  [{ field: 'properties.a', operator: 'eq' }, '/f/1/value', /must be a string, a number or a boolean/],
  [{ field: 'properties.a', operator: 'eq', value: null }, '/f/1/value', /must be a string, a number or a boolean/],
  [{ field: 'properties.a', operator: 'eq', value: ['x'] }, '/f/1/value', /must be a string, a number or a boolean/],
  [{ field: 'properties.a', operator: 'eq', value: '\udc00' }, '/f/1/value', /surrogate/],
  [{ field: 'properties.a', operator: 'eq', value: LONG }, '/f/1/value', /1000 characters/],
  [{ field: 'properties.a', operator: 'in', value: 'x' }, '/f/1/value', /array/],
  [{ field: 'properties.a', operator: 'in', value: [] }, '/f/1/value', /1 to 500/],
  [{ field: 'properties.a', operator: 'notIn', value: Array(501).fill(1) }, '/f/1/value', /1 to 500/],
  [{ field: 'properties.a', operator: 'in', value: [1, { x: 1 }] }, '/f/1/value', /must be a string, a number/],
  [{ field: 'properties.a', operator: 'gt', value: true }, '/f/1/value', /no order/],
  [{ field: 'properties.a', operator: 'contains', value: 5 }, '/f/1/value', /string that is not empty/],
  [{ field: 'properties.a', operator: 'startsWith', value: '' }, '/f/1/value', /string that is not empty/],
  [{ field: 'properties.a', operator: 'isSet', value: true }, '/f/1/value', /must be absent/],
  [{ field: 'timestamp', operator: 'gt', value: 'yesterday' }, '/f/1/value', /RFC 3339/],
]

t.test('a filter that is not valid is refused with the path of the faulty part', async (t) => {
  for (const [filter, path, message] of FAULTS) {
    const faults: FieldError[] = []
    const fine: FilterSchema = { field: 'event', operator: 'isSet' }
    t.equal(readFilters([fine, filter as FilterSchema], '/f', faults).length, 1, JSON.stringify(filter))
    t.match(faults, [{ path, message }], JSON.stringify(filter))
    t.equal(faults.length, 1)
    t.throws(() => createFilterPredicate([filter as FilterSchema]), Problem)
  }
})

t.test('the written name of any path is read as that path', async (t) => {
  for (const path of [['a'], ['a.b', 'c'], ['a\\', '.'], ['\\.', 'x'], ['\\\\..'], ['total'], ['a\\b']]) {
    t.match(parseField(formatField('context', path)), { kind: 'json', column: 'context', path })
  }
})
