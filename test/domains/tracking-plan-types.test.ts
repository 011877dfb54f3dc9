import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { JsonSchema } from '../../src/domains/tracking-plans/keywords.ts'
import { newId } from '../../src/ids.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { makeApiKey, sessionOf } from '../helpers/principals.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const TSC = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url))
const SCRIPT = fileURLToPath(new URL('../../scripts/generate-types.ts', import.meta.url))

const describing = (properties: JsonSchema, more: JsonSchema = {}): JsonSchema => ({
  type: 'object',
  properties: { properties: { type: 'object', properties, ...more } },
})

/** Events of every kind of schema, and names that would like to be more than a name. */
const EVENTS: Record<string, JsonSchema> = {
  'Order Completed': describing(
    {
      total: { type: 'number', minimum: 0, description: 'Gross. */ export const evil = 1 /*' },
      currency: { type: ['string', 'null'], enum: ['EUR', 'US"D', null] },
      lines: {
        type: 'array',
        minItems: 1,
        items: {
          type: 'object',
          properties: { sku: { type: 'string' } },
          required: ['sku'],
          additionalProperties: false,
        },
      },
      shipping: {
        anyOf: [
          { type: 'string', maxLength: 9 },
          { type: 'object', properties: { express: { type: 'boolean' } } },
        ],
      },
      anything: { title: 'Anything' },
      rates: { type: 'object', additionalProperties: { type: 'integer' } },
      either: {
        type: 'object',
        properties: { a: { type: 'string' } },
        anyOf: [{ required: ['a'] }, { minProperties: 2 }],
      },
      never: { not: { type: 'string' } },
      "it's\n`${evil}`": { const: 'a"b' },
    },
    { required: ['total'] },
  ),
  'order completed': describing({}, { additionalProperties: false }),
  TrackingPlan: describing({ title: { type: 'string' }, $ref: { type: 'string' }, tsType: { type: 'number' } }),
  '*/ export const evil = 1 /* "`${1}`\n': describing({}),
  注文: {
    type: 'object',
    properties: { traits: { type: 'object', properties: { plan: { type: 'string' } }, required: ['plan'] } },
  },
}

const CALLS = `import type { PlannedEvent, Track } from './events.d.ts'
declare const track: Track
declare function send(event: PlannedEvent): void
track('Order Completed', { total: 1, currency: null, lines: [{ sku: 'a' }], rates: { EUR: 1 }, anything: 1, never: 1 })
track('order completed')
track('TrackingPlan', { title: 'x', $ref: 'y', tsType: 1 })
send({ event: '注文', traits: { plan: 'pro' }, userId: 'u' })
`
const WRONG_CALLS = {
  "track('Order Complete', { total: 1 })": 'Order Complete',
  "track('Order Completed')": 'arguments',
  "track('Order Completed', {})": 'total',
  "track('Order Completed', { total: '1' })": 'string',
  "track('Order Completed', { total: 1, currency: 'GBP' })": 'GBP',
  "track('Order Completed', { total: 1, lines: [{ sku: 'a', price: 1 }] })": 'price',
  "send({ event: '注文' })": '注文',
  "track('order completed', { total: 1 })": 'number',
}

async function folder(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'mh-types-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}

const run = (file: string, parameters: string[], env: Record<string, string> = {}) =>
  new Promise<{ code: number; output: string }>((resolve) => {
    const options = { env: { ...process.env, ...env } }
    // The test runner gives its loaders to every Node that is started; the compiler cannot be loaded through them.
    execFile('env', ['-u', 'NODE_OPTIONS', process.execPath, file, ...parameters], options, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, output: stdout + stderr }),
    )
  })

t.test('types of a plan', async (t) => {
  const { app } = await startTestApp(t)
  const [alpha, beta] = await createTwoTenants(app)
  for (const [event, schema] of Object.entries(EVENTS)) {
    const url = `/v1/projects/${alpha.projectId}/tracking-plan/events/${encodeURIComponent(event)}`
    const answer = await app.inject(
      authorized(sessionOf(app, alpha.userId), { method: 'PUT', url, payload: { schema } }),
    )
    t.equal(answer.statusCode, 200, answer.body)
  }
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const { key } = await makeApiKey(app, alpha, ['tracking_plan:read'])
  const environment = { METERHOUSE_URL: url, METERHOUSE_API_KEY: key }

  await t.test('compile, take what the plan takes and refuse what it does not', async (t) => {
    const path = await folder(t)
    const made = await run(SCRIPT, ['--project', alpha.projectId, '--out', 'events.d.ts'], {
      ...environment,
      INIT_CWD: path,
    })
    t.equal(made.code, 0, made.output)
    t.match(made.output, `tracking plan of ${alpha.projectId}, version 5`)
    t.same(await readdir(path), ['events.d.ts'], 'and leave nothing else behind')
    const types = await readFile(join(path, 'events.d.ts'), 'utf8')
    await writeFile(join(path, 'good.ts'), CALLS)
    const wrong = Object.entries(WRONG_CALLS)
    await writeFile(join(path, 'wrong.ts'), `${CALLS}\n${wrong.map(([call]) => call).join('\n')}`)
    const flags = [
      '--ignoreConfig',
      '--strict',
      '--noEmit',
      '--allowImportingTsExtensions',
      '--target',
      'esnext',
      '--module',
      'nodenext',
      '--types',
      '',
    ]
    const good = await run(TSC, [...flags, join(path, 'events.d.ts'), join(path, 'good.ts')])
    t.equal(good.code, 0, `${good.output}\n${types}`)
    const bad = await run(TSC, [...flags, '--pretty', 'false', join(path, 'wrong.ts')])
    const firstLine = CALLS.split('\n').length + 1
    for (const [index, [call, subject]] of wrong.entries()) {
      const message = bad.output
        .split('\n')
        .filter((line) => line.includes(`wrong.ts(${firstLine + index},`))
        .join()
      t.match(message, /error TS/, `${call}: ${bad.output}`)
      t.match(message, subject)
    }
    t.notMatch(types, /const evil = 1(?! \/\*)/)
  })

  await t.test('of an empty plan are those of no event', async (t) => {
    const answer = await app.inject(
      authorized(sessionOf(app, beta.userId), { url: `/v1/projects/${beta.projectId}/tracking-plan/types` }),
    )
    t.match(answer.headers['content-type'], /^application\/typescript/)
    t.match(answer.body, /version 0[\s\S]*interface TrackingPlan \{\s*\}/)
    t.notMatch(answer.body, /Order/)
  })

  await t.test('that cannot be had leave the file as it was and say why', async (t) => {
    const path = await folder(t)
    const file = join(path, 'events.d.ts')
    await writeFile(file, 'before')
    const { key: unable } = await makeApiKey(app, alpha, ['query:read'])
    const call = ['--project', alpha.projectId, '--out', file]
    const cases: [parameters: string[], env: Record<string, string>, message: RegExp][] = [
      [call, { ...environment, METERHOUSE_API_KEY: '' }, /METERHOUSE_API_KEY has to be/],
      [call, { ...environment, METERHOUSE_API_KEY: `${key}x` }, /answered 401: The key is not known/],
      [
        call,
        { ...environment, METERHOUSE_API_KEY: unable },
        /answered 403: The key lacks the scope tracking_plan:read/,
      ],
      [['--project', beta.projectId, '--out', file], environment, /answered 404: There is no such project/],
      [['--project', newId('prj'), '--out', file], environment, /answered 404/],
      [['--project', 'demo', '--out', file], environment, /--project has to be/],
      [['--project', alpha.projectId], environment, /--out has to be/],
      [['--project', alpha.projectId, '--out', join(path, 'no', 'where.d.ts')], environment, /cannot be written/],
      [call, { ...environment, METERHOUSE_URL: 'http://127.0.0.1:9' }, /does not answer/],
      [call, { ...environment, METERHOUSE_URL: 'nowhere' }, /METERHOUSE_URL has to be a URL/],
    ]
    for (const [parameters, env, message] of cases) {
      const { code, output } = await run(SCRIPT, parameters, env)
      t.equal(code, 1, `${message}: ${output}`)
      t.match(output, message)
      t.notMatch(output, key, 'the key is not repeated')
      t.equal(await readFile(file, 'utf8'), 'before')
      t.same(await readdir(path), ['events.d.ts'])
    }
  })
})
