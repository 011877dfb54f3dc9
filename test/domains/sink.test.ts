import t, { type Test } from 'tap'
import { acquireLease, Fenced } from '../../src/domains/events/lease.ts'
import type { ClickHouse } from '../../src/infra/clickhouse.ts'
import { eventually } from '../helpers/app.ts'
import { newEvents, newScope, startPipeline } from '../helpers/pipeline.ts'

const pipeline = await startPipeline(t)
const { redis, clickhouse, keys } = pipeline

type Insert = ClickHouse['insertRows']

/** The real store with a fault on the way to it: `fault` stands in for the first `times` inserts. */
function faulty(times: number, fault: (insert: () => Promise<void>) => Promise<void>): ClickHouse {
  let left = times
  const insertRows: Insert = (...args) =>
    left-- > 0 ? fault(() => clickhouse.insertRows(...args)) : clickhouse.insertRows(...args)
  return { ...clickhouse, insertRows }
}

const lost = () => Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })

/** Until the sink has let go of everything that was admitted. */
const released = () =>
  eventually('the release of the batch', async () => {
    const [newest] = await redis.xrevrange(keys.stream, '+', '-', 'COUNT', 1)
    return newest !== undefined && (await redis.get(keys.cursor)) === newest[0]
  })

async function storesExactly(t: Test, store: ClickHouse, count = 25) {
  const [alpha, beta] = [newScope(), newScope()]
  const events = newEvents(count)
  await pipeline.send(alpha, events)
  await pipeline.send(beta, events)
  const sink = pipeline.sink(store)
  sink.start()
  const expected = events.map((event) => event.messageId).sort()
  await released()
  await sink.stop()
  t.same((await pipeline.stored(alpha)).seen, expected)
  t.same((await pipeline.stored(beta)).seen, expected, 'the other tenant has its own copies')
  t.equal(await redis.get(keys.sealed), null, 'nothing is left in doubt')
  return { alpha, beta, expected }
}

t.test('an insert that never reached ClickHouse never releases the buffer', (t) =>
  storesExactly(
    t,
    faulty(2, async () => Promise.reject(lost())),
  ),
)

t.test('an insert whose answer was lost is found by the probe and not written again', async (t) => {
  const store = faulty(1, async (insert) => {
    await insert()
    throw lost()
  })
  const { alpha, expected } = await storesExactly(t, store)
  t.same((await pipeline.stored(alpha)).written, expected, 'one row each, also before any merge')
})

t.test('a token that ClickHouse knows although the rows are gone loses nothing', (t) => {
  // The crash between the de-duplication log and the part: the first answer is lost, the repeat is dropped as a duplicate.
  let inserts = 0
  const insertRows: Insert = async (...args) => {
    inserts += 1
    if (inserts === 1) throw lost()
    if (inserts === 2) return
    await clickhouse.insertRows(...args)
  }
  return storesExactly(t, { ...clickhouse, insertRows })
})

t.test('a batch that was sealed by a sink that died is resolved by the next one', async (t) => {
  for (const arrived of [false, true]) {
    const scope = newScope()
    const events = newEvents(5)
    await pipeline.send(scope, events)
    let died = () => {}
    const death = new Promise<void>((resolve) => {
      died = resolve
    })
    const dying = pipeline.sink(
      faulty(1, async (insert) => {
        if (arrived) await insert()
        died()
        throw lost()
      }),
    )
    dying.start()
    await death
    await dying.stop()
    t.ok(await redis.get(keys.sealed), 'the record outlives the sink')

    const next = pipeline.sink()
    next.start()
    await eventually('the resolution of the sealed batch', async () => (await redis.get(keys.sealed)) === null)
    await next.stop()
    const { seen, written } = await pipeline.stored(scope)
    t.same(
      seen,
      events.map((event) => event.messageId).sort(),
      `once when the insert had ${arrived ? '' : 'not '}arrived`,
    )
    t.equal(written.length, 5)
  }
})

t.test('a sink that slept through its lease can change nothing', async (t) => {
  const sleeper = await acquireLease(redis, 0)
  if (!sleeper) return t.fail('the shard was free')
  t.equal(await acquireLease(redis, 0), null, 'a held shard has one sink')
  await redis.del(keys.lease)
  const successor = await acquireLease(redis, 0)
  await t.rejects(sleeper.seal('{}'), Fenced)
  await t.rejects(sleeper.advance('1-1', []), Fenced)
  await sleeper.release()
  t.ok(await redis.get(keys.lease), 'and its farewell does not free the lease of its successor')
  await successor?.release()
})

t.test('a resend past the memory of the door is seen once, and the first copy wins', async (t) => {
  const scope = newScope()
  const timestamp = '2026-03-04T05:06:07.000Z'
  const copy = (total: number) => [{ event: 'Order', messageId: 'late', timestamp, properties: { total } }]
  const sink = pipeline.sink()
  sink.start()
  t.same(await pipeline.send(scope, copy(1), Date.now() - 5000), ['new'])
  await eventually('the first copy', async () => (await pipeline.stored(scope)).seen.length === 1)
  await redis.del(...(await redis.keys(`${keys.marks}*`)))
  t.same(await pipeline.send(scope, copy(2)), ['new'], 'the door has forgotten')
  await released()
  await sink.stop()
  t.same((await pipeline.stored(scope)).seen, ['late'])
  const result = await clickhouse.client.query({
    query: 'SELECT properties FROM events FINAL WHERE project_id = {projectId:String}',
    query_params: { projectId: scope.projectId },
    format: 'JSONEachRow',
  })
  t.same(await result.json(), [{ properties: '{"total":1}' }])
})

t.test('stored entries are freed by age, and an entry that is not stored never', async (t) => {
  const scope = newScope()
  await pipeline.send(scope, newEvents(1))
  const { createTrimmer } = await import('../../src/domains/events/trimmer.ts')
  const entries = await redis.xrange(keys.stream, '-', '+')
  const [last, beforeLast] = [entries.at(-1)?.[0] ?? '', entries.at(-2)?.[0] ?? '']
  await createTrimmer({ redis, stream: keys.stream, tailMs: 60_000 })({ last: beforeLast, bytes: 1 })
  t.equal(await redis.xlen(keys.stream), entries.length, 'the tail stays for live readers')
  await createTrimmer({ redis, stream: keys.stream, tailMs: -60_000 })({ last: beforeLast, bytes: 1 })
  t.same(
    (await redis.xrange(keys.stream, '-', '+')).map(([id]) => id),
    [last],
  )
})
