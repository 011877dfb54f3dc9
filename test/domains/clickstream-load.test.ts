import t, { type Test } from 'tap'
import { deliver } from '../../scripts/clickstream/delivery.ts'
import type { ClickstreamEvent } from '../../scripts/clickstream/event.ts'
import { generate } from '../../scripts/clickstream/generate.ts'
import { counted, createLedger } from '../../scripts/clickstream/ledger.ts'
import { readOptions, readTarget } from '../../scripts/clickstream/options.ts'
import type { StreamPlan } from '../../scripts/clickstream/plan.ts'
import { progressLine } from '../../scripts/clickstream/progress.ts'
import { createTrendClient } from '../../scripts/clickstream/query-client.ts'
import { findStream, waitUntilComplete } from '../../scripts/clickstream/stored-stream.ts'
import { verify } from '../../scripts/clickstream/verify.ts'
import { KEYS, runLoader, startClickstreamServer, wire } from '../helpers/clickstream-server.ts'

const PLAN: StreamPlan = { seed: 3, untilMs: Date.parse('2026-10-01T12:00:00Z'), months: 1, events: 5000, users: 300 }
const stream = [...generate(PLAN)]

t.test('"later" and lost answers lose nothing and change no messageId', async (t) => {
  const { state, ...server } = await startClickstreamServer(t)
  state.faults.push(
    { status: 429, headers: { 'retry-after': '1' } },
    'reset',
    { status: 503, headers: { 'retry-after': '0' } },
    'store, then reset',
    { status: 503 },
    'store, then half an answer',
    { status: 500 },
    { status: 429, headers: { 'retry-after': new Date(Date.now() + 1000).toUTCString() } },
  )
  const ledger = createLedger()
  const receipt = await deliver(counted(stream, ledger), { ...server.ingest, concurrency: 3, eventsPerBody: 250 })
  t.equal(state.faults.length, 0, 'every fault happened')
  t.equal(receipt.retries, 8)
  t.equal(receipt.accepted + receipt.duplicates, stream.length)
  t.equal(receipt.duplicates, 500, 'the two bodies whose answers were lost are recognized')
  t.equal(receipt.refused, 0)
  const ids = new Set(state.arrivals.flatMap((arrival) => arrival.ids))
  t.same(ids, new Set(stream.map(({ messageId }) => messageId)), 'no id was made up')
  t.equal(state.stored.length, stream.length)
  t.same(
    new Map(state.stored.map((event) => [event.messageId, event])),
    new Map(stream.map((event) => [event.messageId, wire(event)])),
  )
})

t.test('"later" said to one worker is heeded by all, until Retry-After is over', async (t) => {
  const { state, ...server } = await startClickstreamServer(t)
  const later = { status: 429, headers: { 'retry-after': '1' }, delayMs: 100 }
  const soon = { status: 429, headers: { 'retry-after': '0' }, delayMs: 200 }
  state.faults.push(later, soon, soon, soon)
  await deliver(stream.slice(0, 1000), { ...server.ingest, concurrency: 4, eventsPerBody: 50 })
  const [first, , , , fifth] = state.arrivals
  t.equal(state.mostAtOnce, 4, 'all four had a body on the way')
  t.ok(fifth && first && fifth.atMs - first.atMs >= 1090)
  t.equal(state.stored.length, 1000)
})

t.test(
  'bodies are gzipped NDJSON of at most 2,000 events with the write key, at most as many as asked for at once',
  async (t) => {
    const { state, ...server } = await startClickstreamServer(t)
    await deliver(stream, { ...server.ingest, concurrency: 2 })
    t.same(state.arrivals.map(({ ids }) => ids.length).sort(), [1000, 2000, 2000])
    t.ok(state.mostAtOnce <= 2)
    t.same(
      new Set(state.arrivals.map(({ headers }) => headers)),
      new Set(['Bearer mh_write_fake application/x-ndjson gzip']),
    )
  },
)

t.test('the same stream sent twice adds nothing', async (t) => {
  const { state, ...server } = await startClickstreamServer(t)
  const first = await deliver(generate(PLAN), server.ingest)
  const second = await deliver(generate({ ...PLAN }), server.ingest)
  t.equal(first.accepted, PLAN.events)
  t.equal(second.accepted, 0)
  t.equal(second.duplicates, PLAN.events)
  t.equal(state.stored.length, PLAN.events)
})

t.test('a refusal that will not pass stops all workers and is told', async (t) => {
  const { state, ...server } = await startClickstreamServer(t)
  state.faults.push({ status: 401, body: '{"code":"auth.unauthenticated","detail":"The key is unknown."}' })
  await t.rejects(deliver(stream, { ...server.ingest, concurrency: 4, eventsPerBody: 10 }), /401.*The key is unknown/)
  t.ok(state.stored.length < 1000, 'the others did not go on to the end')
})

t.test('a server that never takes anything is given up, with its last answer', async (t) => {
  const { state, ...server } = await startClickstreamServer(t)
  state.faults.push({ status: 429, headers: { 'retry-after': '86400' }, body: 'billing.quota_exceeded' })
  await t.rejects(
    deliver(stream, { ...server.ingest, concurrency: 1 }),
    /Nothing was accepted for 300 s.*quota_exceeded/,
  )
  await t.rejects(
    deliver(stream, { url: 'http://127.0.0.1:9', key: 'x', patienceMs: 500 }),
    /the last answer was: fetch failed/,
  )
})

t.test('events that the server refuses are counted and named', async (t) => {
  const { state, ...server } = await startClickstreamServer(t)
  state.refuse = ({ event }) => event === 'Order Completed'
  const orders = stream.filter(({ event }) => event === 'Order Completed').length
  const receipt = await deliver(stream, server.ingest)
  t.ok(orders > 0)
  t.equal(receipt.refused, orders)
  t.equal(receipt.accepted, stream.length - orders)
  t.match(receipt.refusals[0], /rejected: events.invalid not today/)
})

t.test('a complete store is exact in every query, also among events of others', async (t) => {
  const { state, ledger, ask } = await loadedServer(t)
  const results = await Array.fromAsync(verify(PLAN, ledger, ask))
  t.equal(results.length, 12)
  t.same(new Set(results.map(({ exact }) => exact)), new Set(['yes']))
  t.ok(results.every(({ medianMs, p95Ms }) => medianMs > 0 && p95Ms >= medianMs))

  state.stored.push(...[...generate({ ...PLAN, seed: 4 })].map(wire))
  const crowded = await Array.fromAsync(verify(PLAN, ledger, ask))
  const verdicts = (own: boolean) =>
    new Set(crowded.filter(({ query }) => query.includes('this stream') === own).map(({ exact }) => exact))
  t.same(verdicts(true), new Set(['yes']))
  t.same(verdicts(false), new Set(['others too']))
})

t.test('one event, one cent, one person, one country, one name or one day that is wrong is found', async (t) => {
  const { state, ledger, ask } = await loadedServer(t)
  const truth = state.stored.slice()
  const wrongs = async (change: (events: ClickstreamEvent[]) => ClickstreamEvent[]) => {
    state.stored.splice(0, Number.POSITIVE_INFINITY, ...change(structuredClone(truth)))
    const results = await Array.fromAsync(verify(PLAN, ledger, ask))
    return results.filter(({ exact }) => exact === 'NO').map(({ query }) => query.replace(', this stream only', ''))
  }
  const changeOne = (name: string, change: (event: ClickstreamEvent) => void) => (events: ClickstreamEvent[]) => {
    const event = events.find((event) => event.event === name)
    if (event) change(event)
    return events
  }
  t.same(await wrongs((events) => events), [])
  const lost = await wrongs((events) => events.slice(1))
  t.same(lost.slice(0, 2), ['events by day', 'events by name'])
  t.ok((await wrongs((events) => [...events, ...events.slice(9, 10)])).includes('events by day'), 'a double')
  const cent = await wrongs(
    changeOne('Order Completed', ({ properties }) => (properties.total = Number(properties.total) + 0.01)),
  )
  t.same(cent, ['revenue by day', 'revenue by day and currency'])
  t.same(await wrongs(changeOne('Session Started', (event) => (event.userId = 'somebody else'))), [
    'unique users by day',
  ])
  t.same(await wrongs(changeOne('Page Viewed', ({ context }) => (context.country = 'XX'))), [
    'events by day and country',
  ])
  t.same(await wrongs(changeOne('Page Viewed', (event) => (event.event = 'Screen Viewed'))), ['events by name'])
  const moved = await wrongs(changeOne('Page Viewed', (event) => (event.timestamp = '2026-09-20T00:00:00.000Z')))
  t.ok(moved.includes('events by day') && moved.includes('events by day and country'))
})

t.test('the check waits for completeThrough and says so when it stands still', async (t) => {
  const { state, ask } = await loadedServer(t)
  state.completeThroughMs = Date.parse('2026-10-01T12:00:00Z')
  await t.rejects(
    waitUntilComplete(PLAN, state.completeThroughMs + 1, ask, { patienceMs: 300 }),
    /completeThrough stands at 2026-10-01T12:00:00/,
  )
  const waiting = waitUntilComplete(PLAN, state.completeThroughMs + 1, ask)
  state.completeThroughMs += 1
  await t.resolves(waiting)
})

t.test('the newest stream of a project is found by its name', async (t) => {
  const { state, ask } = await loadedServer(t)
  const newer = { ...PLAN, events: 100, untilMs: PLAN.untilMs + 1000 }
  state.stored.push(...[...generate(newer)].map(wire))
  t.same(await findStream(ask, PLAN.untilMs), newer)
})

t.test('the command loads, checks and ends with 0; again it adds nothing; a wrong answer ends it with 1', async (t) => {
  const { state, ...server } = await startClickstreamServer(t)
  const data = t.testdir({ 'credentials.json': JSON.stringify({ baseUrl: server.url, ...KEYS }) })
  const same = ['--events', '3000', '--users', '200', '--months', '1', '--until', '2026-10-01T12:00:00Z']
  const first = await runLoader(data, same)
  t.equal(first.code, 0, first.text)
  t.match(first.text, /3,000 accepted, 0 duplicates, 0 refused/)
  t.match(first.text, /query +exact +median +p95/)
  const second = await runLoader(data, same)
  t.match(second.text, /0 accepted, 3,000 duplicates, 0 refused/)
  t.equal(second.code, 0)
  t.equal(state.stored.length, 3000)
  const third = await runLoader(data, ['--verify-only'])
  t.equal(third.code, 0, 'the stream is found and checked without its options')
  state.stored.splice(10, 1)
  const fourth = await runLoader(data, ['--verify-only'])
  t.equal(fourth.code, 1)
  t.match(fourth.text, /events by day, this stream only differs: 2026-09-\d+: sent \d+, answered \d+/)
})

t.test('keys of credentials.json go to their own server only', async (t) => {
  const data = t.testdir({ 'credentials.json': JSON.stringify({ baseUrl: 'http://127.0.0.1:3000', ...KEYS }) })
  t.same(readTarget(readOptions([], 0), data), {
    url: 'http://127.0.0.1:3000',
    writeKey: KEYS.writeKey,
    reading: { key: KEYS.apiKey, projectId: KEYS.projectId },
  })
  const elsewhere = ['--url', 'http://events.example']
  t.throws(() => readTarget(readOptions(elsewhere, 0), data), /--key is needed/)
  t.same(readTarget(readOptions([...elsewhere, '--key', 'mh_write_other'], 0), data).reading, undefined)
})

t.test('a bad option is named', async (t) => {
  t.throws(() => readOptions(['--events', 'many'], 0), /--events has to be a whole number/)
  t.throws(() => readOptions(['--until', 'tomorrow'], 0), /--until has to be a time/)
  t.throws(() => readOptions(['--evnets', '5'], 0), /--evnets/)
  t.throws(() => readTarget(readOptions([], 0), t.testdir({})), /credentials.json is missing/)
})

t.test('progress tells share, rate and what remains', async (t) => {
  t.match(progressLine(250_000, 1_000_000, 10), /25 % {2}250,000 of 1,000,000 {2}25,000\/s {2}ETA 0:30/)
  t.match(progressLine(1_000_000, 1_000_000, 75), /100 %.*took 1:15/)
  t.match(progressLine(0, 1000, 1), /0 %.*ETA –/)
})

/** A server that holds the whole stream, its ledger, and a client for its queries. */
async function loadedServer(t: Test) {
  const { state, url, apiKey, projectId } = await startClickstreamServer(t)
  const ledger = createLedger()
  state.stored.push(...[...counted(stream, ledger)].map(wire))
  return { state, ledger, ask: createTrendClient({ url, key: apiKey, projectId }) }
}
