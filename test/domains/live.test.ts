import { EventEmitter } from 'node:events'
import type { WebSocket } from '@fastify/websocket'
import t from 'tap'
import type { LiveEvent, Tail } from '../../src/domains/events/index.ts'
import { openLiveSocket } from '../../src/domains/live/socket.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { listen, openLive } from '../helpers/live.ts'
import { addMember, sessionOf } from '../helpers/principals.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const { app } = await startTestApp(t)
const [alpha, beta] = await createTwoTenants(app)
const base = await listen(app)
const liveUrl = (projectId: string, query = '') => `${base}/v1/projects/${projectId}/live${query}`

const send = async (key: string, ...events: Record<string, unknown>[]) => {
  const answer = await app.inject(authorized(key, { method: 'POST', url: '/v1/events', payload: events }))
  if (answer.statusCode !== 202) throw new Error(answer.body)
}
let counter = 0
const event = (properties: Record<string, unknown> = {}, name = 'Seen') => ({
  event: name,
  messageId: `live-${counter++}`,
  properties,
})

t.test('a watcher receives the full event within a second, and another tenant nothing', async (t) => {
  const [mine, theirs] = await Promise.all([
    openLive(t, liveUrl(alpha.projectId), alpha.apiKey),
    openLive(t, liveUrl(beta.projectId), beta.apiKey),
  ])
  await Promise.all([mine.frame('hello'), theirs.frame('hello')])
  const latencies: number[] = []
  for (let i = 0; i < 20; i++) {
    const sent = event({ total: 12.5, nested: { deep: [1, 2] } })
    const startedAt = performance.now()
    await send(alpha.writeKey, sent)
    await eventually('the event', async () => mine.ids().includes(sent.messageId))
    latencies.push(performance.now() - startedAt)
  }
  const worst = Math.max(...latencies)
  t.comment(
    `admission to socket: median ${latencies.sort((a, b) => a - b)[10]?.toFixed(1)} ms, worst ${worst.toFixed(1)} ms`,
  )
  t.ok(worst < 1000)
  t.match(mine.events().at(-1), {
    id: /^\d+-\d+\.\d+$/,
    event: {
      event: 'Seen',
      type: 'track',
      properties: { total: 12.5, nested: { deep: [1, 2] } },
      timestamp: /Z$/,
      receivedAt: /Z$/,
    },
  })
  t.same(theirs.events(), [])
})

t.test('a duplicate is not shown again', async (t) => {
  const watcher = await openLive(t, liveUrl(alpha.projectId), alpha.apiKey)
  await watcher.frame('hello')
  const twice = event()
  await send(alpha.writeKey, twice, event())
  await send(alpha.writeKey, event(), twice, event())
  await eventually('four events', async () => watcher.events().length >= 4)
  t.equal(watcher.ids().filter((id) => id === twice.messageId).length, 1)
})

t.test('the server filters, and the filter can be changed and refused while connected', async (t) => {
  const filters = encodeURIComponent(JSON.stringify([{ field: 'properties.total', operator: 'gt', value: 10 }]))
  const watcher = await openLive(t, liveUrl(alpha.projectId, `?event=Order&filters=${filters}`), alpha.apiKey)
  await watcher.frame('hello')
  const [small, large, other] = [
    event({ total: 1 }, 'Order'),
    event({ total: 11 }, 'Order'),
    event({ total: 99 }, 'Visit'),
  ]
  await send(alpha.writeKey, small, other, large)
  await eventually('the large order', async () => watcher.ids().includes(large.messageId))
  t.same(watcher.ids(), [large.messageId])

  watcher.socket.send(
    JSON.stringify({ type: 'filter', filters: [{ field: 'properties.total', operator: 'nonsense', value: 1 }] }),
  )
  t.ok((await watcher.frame('error')).errors?.length, 'a bad filter is named')
  watcher.socket.send(JSON.stringify({ type: 'filter', event: 'Visit' }))
  await watcher.frame('filtered')
  const visit = event({}, 'Visit')
  await send(alpha.writeKey, event({ total: 50 }, 'Order'), visit)
  await eventually('the visit', async () => watcher.ids().includes(visit.messageId))
  t.same(watcher.ids(), [large.messageId, visit.messageId])
})

t.test('a reconnect with the last id misses nothing and repeats nothing', async (t) => {
  const first = await openLive(t, liveUrl(alpha.projectId), alpha.apiKey)
  await first.frame('hello')
  const before = [event(), event(), event()]
  await send(alpha.writeKey, ...before)
  await eventually('the first three', async () => first.events().length >= 3)
  const after = first.events()[1]?.id
  first.socket.terminate()
  const missed = Array.from({ length: 250 }, () => event())
  for (const one of missed) await send(alpha.writeKey, one)
  const second = await openLive(t, liveUrl(alpha.projectId, `?after=${after}`), alpha.apiKey)
  const late = event()
  await send(alpha.writeKey, late)
  await eventually('the late one', async () => second.ids().includes(late.messageId))
  t.same(
    second.ids(),
    [before[2], ...missed, late].map((one) => one?.messageId),
  )
  t.notOk(second.frames.some((frame) => frame.type === 'gap'))
})

t.test('a reader that is behind a resume does not repeat it', async (t) => {
  const [one, two] = [`1-1.0`, `1-2.0`]
  let publish: (events: LiveEvent[]) => void = () => {}
  const asLive = (id: string): LiveEvent => ({ id, event: { event: 'Seen', messageId: id } })
  const tail = {
    watch: async (_scope: unknown, listener: typeof publish) => {
      publish = listener
    },
    since: async () => ({ events: [asLive(one), asLive(two)], gap: false }),
  } as unknown as Tail
  const sent: string[] = []
  const socket = Object.assign(new EventEmitter(), {
    bufferedAmount: 0,
    send: (text: string) => sent.push(text),
    ping() {},
    close() {},
    terminate() {},
  })
  openLiveSocket({
    socket: socket as unknown as WebSocket,
    scope: alpha,
    tail,
    metrics: app.metrics,
    wanted: () => true,
    after: '1-0.0',
    bufferBytesMax: 1000,
    heartbeatIntervalMs: 60_000,
  })
  await eventually('the resume', async () => sent.some((text) => text.includes(two)))
  publish([asLive(one), asLive(two), asLive('1-3.0')])
  socket.emit('close')
  t.same(sent.map((text) => JSON.parse(text).id).filter(Boolean), [one, two, '1-3.0'])
})

t.test('a resume from before the buffer says that there is a gap', async (t) => {
  await send(alpha.writeKey, event())
  const watcher = await openLive(t, liveUrl(alpha.projectId, '?after=1000-0.0'), alpha.apiKey)
  t.match(await watcher.frame('gap'), { after: '1000-0.0' })
})

t.test('a watcher that stops reading loses events and is told how many, without delaying another', async (t) => {
  const [slow, quick] = await Promise.all([
    openLive(t, liveUrl(alpha.projectId), alpha.apiKey),
    openLive(t, liveUrl(alpha.projectId), alpha.apiKey),
  ])
  await Promise.all([slow.frame('hello'), quick.frame('hello')])
  slow.socket.pause()
  const padding = 'x'.repeat(100_000)
  const total = 200
  for (let i = 0; i < total; i += 50) {
    await send(alpha.writeKey, ...Array.from({ length: 50 }, () => event({ padding })))
  }
  await eventually('the quick one', async () => quick.events().length === total)
  slow.socket.resume()
  const { count = 0 } = await slow.frame('dropped')
  await eventually('the rest', async () => slow.events().length + count >= total)
  t.ok(count > 0)
  t.equal(slow.events().length + count, total, 'what was sent and what was dropped is everything')
})

t.test('a browser offers its credential as a subprotocol, which is not echoed', async (t) => {
  const watcher = await openLive(t, liveUrl(alpha.projectId), alpha.apiKey, true)
  t.equal(watcher.socket.protocol, 'meterhouse.v1')
})

t.test('a handshake without the right to watch is refused before the upgrade', async (t) => {
  await t.rejects(openLive(t, liveUrl(alpha.projectId), beta.apiKey), /refused with 404/)
  await t.rejects(openLive(t, liveUrl(alpha.projectId), alpha.writeKey), /refused with 403/)
  await t.rejects(openLive(t, liveUrl(alpha.projectId), 'mh_live_nonsense'), /refused with 401/)
  await t.rejects(openLive(t, liveUrl(alpha.projectId, '?filters=nonsense'), alpha.apiKey), /refused with 400/)
  await t.rejects(openLive(t, liveUrl(alpha.projectId, `?token=${alpha.apiKey}`), alpha.apiKey), /refused with 400/)
})

t.test("revoking a key closes its sockets within five seconds, and nobody else's", async (t) => {
  const [mine, theirs] = await Promise.all([
    openLive(t, liveUrl(alpha.projectId), alpha.apiKey),
    openLive(t, liveUrl(beta.projectId), beta.apiKey),
  ])
  await Promise.all([mine.frame('hello'), theirs.frame('hello')])
  const startedAt = performance.now()
  const url = `/v1/projects/${alpha.projectId}/api-keys/${alpha.apiKeyId}`
  t.equal((await app.inject(authorized(alpha.apiKey, { method: 'DELETE', url }))).statusCode, 204)
  await eventually('the close', async () => mine.closeCode() !== undefined, 5000)
  t.comment(`closed after ${(performance.now() - startedAt).toFixed(0)} ms`)
  t.equal(mine.closeCode(), 4001)
  t.equal(theirs.closeCode(), undefined)
  await t.rejects(openLive(t, liveUrl(alpha.projectId), alpha.apiKey), /refused with 401/)
})

t.test('who is removed from an organization stops watching it within five seconds, and nobody else does', async (t) => {
  const userId = await addMember(app, alpha, 'viewer')
  const [theirs, owners] = await Promise.all([
    openLive(t, liveUrl(alpha.projectId), sessionOf(app, userId)),
    openLive(t, liveUrl(alpha.projectId), sessionOf(app, alpha.userId)),
  ])
  await Promise.all([theirs.frame('hello'), owners.frame('hello')])
  const url = `/v1/organizations/${alpha.organizationId}/members/${userId}`
  const removed = await app.inject(authorized(sessionOf(app, alpha.userId), { method: 'DELETE', url }))
  t.equal(removed.statusCode, 204, removed.body)
  await eventually('the close', async () => theirs.closeCode() !== undefined, 5000)
  t.equal(theirs.closeCode(), 4001)
  t.equal(owners.closeCode(), undefined)
})
