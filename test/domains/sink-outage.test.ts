import t from 'tap'
import { createBufferGauge } from '../../src/domains/events/buffer-gauge.ts'
import type { ClickHouse } from '../../src/infra/clickhouse.ts'
import { eventually } from '../helpers/app.ts'
import { newEvents, newScope, startPipeline } from '../helpers/pipeline.ts'

const pipeline = await startPipeline(t)
const { redis, clickhouse, keys } = pipeline
const [alpha, beta] = [newScope(), newScope()]

const silent = { warn: () => {} } as unknown as Parameters<typeof createBufferGauge>[0]['log']
const gauge = createBufferGauge({
  redis,
  streams: [{ lane: 'live', ...keys }],
  bytesMax: 0,
  log: silent,
  onSample: () => {},
})
gauge.start()
t.teardown(gauge.stop)

const countOf = async (scope: typeof alpha) => (await pipeline.stored(scope)).seen.length
const drained = async () => {
  await eventually('the release of the last entry', async () => {
    const [newest] = await redis.xrevrange(keys.stream, '+', '-', 'COUNT', 1)
    return newest === undefined || (await redis.get(keys.cursor)) === newest[0]
  })
  await eventually('the end of the lag', async () => gauge.state.lagMs === 0)
}

t.test('a sink whose ClickHouse was away drains by itself what was admitted meanwhile', async (t) => {
  let away = true
  let tries = 0
  const insertRows: ClickHouse['insertRows'] = async (...args) => {
    tries += 1
    if (away) throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    await clickhouse.insertRows(...args)
  }
  const sink = pipeline.sink({ ...clickhouse, insertRows })
  sink.start()
  for (const scope of [alpha, beta]) await pipeline.send(scope, newEvents(100))
  await eventually('a second try', async () => tries >= 2)
  for (const scope of [alpha, beta]) await pipeline.send(scope, newEvents(1500))
  await eventually('a growing lag', async () => gauge.state.lagMs > 1000)
  t.same([await countOf(alpha), await countOf(beta)], [0, 0])
  away = false
  await drained()
  t.same([await countOf(alpha), await countOf(beta)], [1600, 1600])
  await sink.stop()
})

t.test('at the memory limit of Redis nothing is admitted, and a sink that starts then makes room', async (t) => {
  for (const scope of [alpha, beta]) await pipeline.send(scope, newEvents(1000))
  await redis.config('SET', 'maxmemory', 1)
  await t.rejects(pipeline.send(alpha, newEvents(1)), { code: 'events.buffer_unavailable' })
  await eventually('the gauge', async () => (gauge.state.memoryShare ?? 0) > 1)
  const sink = pipeline.sink()
  sink.start()
  await drained()
  t.same([await countOf(alpha), await countOf(beta)], [2600, 2600])
  await t.rejects(pipeline.send(beta, newEvents(1)), { code: 'events.buffer_unavailable' })
  await redis.config('SET', 'maxmemory', 0)
  for (const scope of [alpha, beta]) t.same(await pipeline.send(scope, newEvents(1)), ['new'])
  await drained()
  t.same([await countOf(alpha), await countOf(beta)], [2601, 2601])
  await sink.stop()
})

t.test('memory that runs short costs the tail and no event that is not stored', async (t) => {
  const { createTrimmer } = await import('../../src/domains/events/trimmer.ts')
  for (const scope of [alpha, beta]) await pipeline.send(scope, newEvents(1))
  const entries = await redis.xrange(keys.stream, '-', '+')
  const stored = { last: entries.at(-2)?.[0] ?? '', bytes: 1 }
  const trimmer = (crowded: boolean) =>
    createTrimmer({ redis, stream: keys.stream, tailMs: 60_000, isCrowded: () => crowded })
  await trimmer(false)(stored)
  t.equal(await redis.xlen(keys.stream), entries.length)
  await trimmer(true)(stored)
  t.same(
    (await redis.xrange(keys.stream, '-', '+')).map(([id]) => id),
    [entries.at(-1)?.[0]],
  )
})
