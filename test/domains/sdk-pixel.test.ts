import { once } from 'node:events'
import { Writable } from 'node:stream'
import t from 'tap'
import { buildApp } from '../../src/app.ts'
import { generateKey } from '../../src/domains/projects/keys.ts'
import { loggerOptions } from '../../src/http/request-log.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { sessionOf } from '../helpers/principals.ts'
import { storedCount, storedEvents } from '../helpers/sdk.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const lines: string[] = []
const { app: quiet, config } = await startTestApp(t)
const stream = new Writable({
  write(chunk, _encoding, done) {
    lines.push(String(chunk))
    done()
  },
})
const app = await buildApp(config, {
  ...loggerOptions({ level: 'trace', format: 'json' } as typeof config.log, false),
  stream,
})
t.teardown(() => app.close())
await app.ready()

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64')

const pixel = (call: string, data: string, headers: Record<string, string> = {}) =>
  app.inject({ url: `/v1/pixel/${call}?data=${encodeURIComponent(data)}`, headers })

async function faults(): Promise<Record<string, number>> {
  const { values } = await app.metrics.pixelFaults.get()
  return Object.fromEntries(values.map(({ labels, value }) => [labels.code, value]))
}

function isImage(answer: Awaited<ReturnType<typeof pixel>>): boolean {
  const { headers, rawPayload, statusCode } = answer
  return (
    statusCode === 200 &&
    headers['content-type'] === 'image/gif' &&
    headers['cache-control'] === 'no-store' &&
    headers['cross-origin-resource-policy'] === 'cross-origin' &&
    rawPayload.toString('latin1').startsWith('GIF89a\x01\0\x01\0')
  )
}

t.test('every call is stored from an image, in its own project only', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  for (const call of ['track', 'identify', 'page', 'screen', 'group', 'alias']) {
    const message = { writeKey: alpha.writeKey, userId: 'ü/+?1', event: 'Mail Opened', messageId: call, type: 'other' }
    t.ok(isImage(await pixel(call, base64({ ...message, properties: { subject: '>>>???' } }))), call)
  }
  const rows = await storedCount(app, alpha.projectId, 6)
  t.same(
    rows.map(({ type }) => type),
    ['alias', 'group', 'identify', 'page', 'screen', 'track'],
  )
  t.match(rows[5], { event: 'Mail Opened', user_id: 'ü/+?1', properties: { subject: '>>>???' } })
  t.notOk(JSON.stringify(rows).includes(alpha.writeKey))
  const plain = base64({ writeKey: beta.writeKey, event: '>>>', messageId: 'unescaped' })
  t.ok(isImage(await app.inject(`/v1/pixel/track?data=${plain}`)), 'base64 that nobody escaped')
  t.match(await storedCount(app, beta.projectId, 1), [{ event: '>>>' }])
})

t.test('an image is an image whatever is wrong, and what is wrong is counted', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const url = `/v1/projects/${beta.projectId}`
  const payload = { allowedOrigins: ['https://shop.example'] }
  const closed = await app.inject(authorized(sessionOf(app, beta.userId), { method: 'PATCH', url, payload }))
  t.equal(closed.statusCode, 200)
  const event = { writeKey: alpha.writeKey, event: 'Seen' }
  const cases: [code: string, call: string, data: string, headers?: Record<string, string>][] = [
    ['auth.unauthenticated', 'track', ''],
    ['auth.unauthenticated', 'track', 'no base64 ***'],
    ['auth.unauthenticated', 'track', base64([event])],
    ['auth.unauthenticated', 'track', base64({ ...event, writeKey: generateKey('write') })],
    ['auth.forbidden', 'track', base64({ ...event, writeKey: alpha.apiKey })],
    ['request.invalid', 'vanish', base64(event)],
    ['events.all_rejected', 'track', base64({ ...event, event: '' })],
    [
      'events.origin_not_allowed',
      'track',
      base64({ ...event, writeKey: beta.writeKey }),
      { origin: 'https://evil.example' },
    ],
  ]
  for (const [code, call, data, headers] of cases) {
    const before = (await faults())[code] ?? 0
    const answer = await pixel(call, data, headers)
    t.ok(isImage(answer), `${code}: ${answer.statusCode}`)
    t.equal((await faults())[code], before + 1, code)
  }
  app.ingestRedis.disconnect()
  await once(app.ingestRedis, 'end')
  t.ok(isImage(await pixel('track', base64(event))), 'while the buffer is away')
  await app.ingestRedis.connect()
  t.ok((await faults())['events.buffer_unavailable'] ?? (await faults())['service.unavailable'])
  t.same(await storedEvents(app, alpha.projectId), [])
  t.same(await storedEvents(app, beta.projectId), [])
})

t.test('what a pixel said does not reach the log, and asking for its headers stores nothing', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const data = base64({ writeKey: alpha.writeKey, event: 'canary-event' })
  await pixel('track', data)
  await pixel('vanish', data)
  t.match(lines.join(''), /"path":"\/v1\/pixel\/track"/, 'the log is written')
  for (const secret of [data, encodeURIComponent(data), alpha.writeKey, 'canary-event'])
    t.notOk(lines.join('').includes(secret))
  const head = await quiet.inject({ method: 'HEAD', url: `/v1/pixel/track?data=${encodeURIComponent(data)}` })
  t.equal(head.statusCode, 404)
})
