import { ClickHouseError } from '@clickhouse/client'
import t from 'tap'
import { blame } from '../../src/domains/events/store-faults.ts'
import type { ProjectScope } from '../../src/http/access.ts'
import type { ClickHouse } from '../../src/infra/clickhouse.ts'
import { eventually } from '../helpers/app.ts'
import { newEvents, newScope, startPipeline } from '../helpers/pipeline.ts'

const pipeline = await startPipeline(t)
const { redis, clickhouse, keys } = pipeline

type Insert = ClickHouse['insertRows']

const setAside = async ({ projectId }: ProjectScope) => {
  const result = await clickhouse.client.query({
    query: `SELECT message_id, reason, status, payload, toFloat64(revision) AS revision FROM quarantined_events FINAL
            WHERE project_id = {projectId:String} ORDER BY message_id`,
    query_params: { projectId },
    format: 'JSONEachRow',
  })
  return result.json<{ message_id: string; reason: string; status: string; payload: string; revision: number }>()
}

const drained = () =>
  eventually(
    'the release of every batch',
    async () => {
      const [newest] = await redis.xrevrange(keys.stream, '+', '-', 'COUNT', 1)
      return newest !== undefined && (await redis.get(keys.cursor)) === newest[0]
    },
    40_000,
  )

/** Makes the real engine refuse events of the name Poison. */
async function refusePoison(work: () => Promise<void>): Promise<void> {
  await clickhouse.client.command({ query: `ALTER TABLE events ADD CONSTRAINT sound CHECK event != 'Poison'` })
  await work().finally(() => clickhouse.client.command({ query: 'ALTER TABLE events DROP CONSTRAINT sound' }))
}

const ids = (events: { messageId: string }[]) => events.map(({ messageId }) => messageId).sort()

/** A store whose inserts of events fail in one way while `fails` says so. */
const failing = (error: () => Error, fails: (body: Buffer) => boolean): ClickHouse => ({
  ...clickhouse,
  insertRows: (async (table, columns, chunks, settings) => {
    const body = [...chunks]
    if (table === 'events' && fails(Buffer.concat(body))) throw error()
    await clickhouse.insertRows(table, columns, body, settings)
  }) as Insert,
})

const answer = (code: string, type: string) => () => new ClickHouseError({ message: type, code, type })

t.test('of a batch of 1,000 with three rows that ClickHouse refuses, three are set aside and 997 stored', async (t) => {
  const [alpha, beta] = [newScope(), newScope()]
  const events = newEvents(1000)
  for (const index of [0, 499, 999]) Object.assign(events[index] ?? {}, { event: 'Poison', properties: { n: 1.5 } })
  const [poisoned, sound] = [events.filter((e) => e.event === 'Poison'), events.filter((e) => e.event !== 'Poison')]
  await refusePoison(async () => {
    await pipeline.send(alpha, events)
    await pipeline.send(beta, sound)
    const sink = pipeline.sink()
    sink.start()
    await drained()
    await sink.stop()
  })
  t.same((await pipeline.stored(alpha)).seen, ids(sound))
  t.same((await pipeline.stored(beta)).seen, ids(sound), 'the other tenant notices nothing')
  t.same(await setAside(beta), [])
  const dead = await setAside(alpha)
  t.same(
    dead.map((item) => item.message_id),
    ids(poisoned),
  )
  for (const item of dead) {
    t.match(item, { reason: 'store.refused: VIOLATED_CONSTRAINT (469)', status: 'open' })
    const { timestamp } = poisoned.find(({ messageId }) => messageId === item.message_id) ?? {}
    t.same(JSON.parse(item.payload), {
      event: 'Poison',
      messageId: item.message_id,
      type: 'track',
      timestamp,
      properties: { n: 1.5 },
    })
  }
  t.same(await pipeline.send(alpha, poisoned), ['new', 'new', 'new'], 'the door has forgotten what nobody has')
  t.equal(await redis.get(keys.sealed), null)
})

t.test('rows that were set aside twice are one item, which a second refusal opens again', async (t) => {
  const scope = newScope()
  const events = [{ event: 'Poison', messageId: 'again' }]
  await refusePoison(async () => {
    const sink = pipeline.sink()
    sink.start()
    await pipeline.send(scope, events)
    await eventually('the first refusal', async () => (await setAside(scope)).length === 1)
    const [first] = await setAside(scope)
    await pipeline.send(scope, events)
    await eventually('the second', async () => ((await setAside(scope))[0]?.revision ?? 0) > (first?.revision ?? 0))
    await sink.stop()
  })
  t.match(await setAside(scope), [{ message_id: 'again', status: 'open' }])
})

t.test('a batch whose rows cannot be set aside waits until they can', async (t) => {
  const scope = newScope()
  const sound = newEvents(3)
  let refusals = 0
  const store: ClickHouse = {
    ...clickhouse,
    insertRows: (async (table, ...rest) => {
      if (table === 'quarantined_events' && refusals++ < 2) throw answer('243', 'NOT_ENOUGH_SPACE')()
      await clickhouse.insertRows(table, ...rest)
    }) as Insert,
  }
  await refusePoison(async () => {
    await pipeline.send(scope, [...sound, { event: 'Poison', messageId: 'waits' }])
    const sink = pipeline.sink(store)
    sink.start()
    await drained()
    await sink.stop()
  })
  t.equal(refusals, 3)
  t.same((await pipeline.stored(scope)).seen, ids(sound))
  t.match(await setAside(scope), [{ message_id: 'waits' }])
})

t.test(
  'an error that nobody knows holds a batch up for five tries, then only the rows that cause it leave',
  async (t) => {
    const scope = newScope()
    const sound = newEvents(7)
    let failures = 0
    const store = failing(answer('49', 'LOGICAL_ERROR'), (body) => {
      const fails = body.includes('unexplained')
      if (fails) failures += 1
      return fails
    })
    await pipeline.send(scope, [...sound, { event: 'Tested', messageId: 'unexplained' }])
    const sink = pipeline.sink(store)
    sink.start()
    await drained()
    await sink.stop()
    t.equal(failures, 5 + 4, 'five tries, and the halves of eight rows')
    t.same((await pipeline.stored(scope)).seen, ids(sound))
    t.match(await setAside(scope), [{ message_id: 'unexplained', reason: 'store.refused: LOGICAL_ERROR (49)' }])
  },
)

t.test('an outage never makes a dead letter, however often a batch meets it', async (t) => {
  const scope = newScope()
  const events = newEvents(20)
  await pipeline.send(scope, events)
  let failures = 0
  let over = false
  const store = failing(
    () => {
      failures += 1
      return answer('252', 'TOO_MANY_PARTS')()
    },
    () => !over,
  )
  const sink = pipeline.sink(store)
  sink.start()
  await eventually('more failures than an unknown error may have', async () => failures >= 6, 40_000)
  t.same(await setAside(scope), [])
  over = true
  await drained()
  await sink.stop()
  t.same((await pipeline.stored(scope)).seen, ids(events))
  t.same(await setAside(scope), [])
})

t.test('only an answer that names the rows blames the rows', async (t) => {
  const lost = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
  for (const error of [lost, new Error('Timeout error.'), 'no error at all']) t.equal(blame(error), 'store')
  for (const code of ['60', '74', '159', '202', '203', '209', '210', '241', '242', '243', '252', '319', '497', '999'])
    t.equal(blame(answer(code, 'X')()), 'store', code)
  for (const code of ['27', '33', '53', '117', '469']) t.equal(blame(answer(code, 'X')()), 'rows', code)
  for (const code of ['49', '1001', '0']) t.equal(blame(answer(code, 'X')()), 'unknown', code)
})
