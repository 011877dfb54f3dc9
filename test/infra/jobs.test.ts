import { randomBytes } from 'node:crypto'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { createJobs } from '../../src/infra/jobs.ts'
import { createRedis } from '../../src/infra/redis.ts'
import { eventually } from '../helpers/app.ts'
import { startTestRedis } from '../helpers/services.ts'

const log = pino({ level: 'silent' })
const redis = await startTestRedis(t, `jobs_${randomBytes(6).toString('hex')}`)

/** A queue of a test's own, whose work fails as long as `failing` says. */
function start(t: Test, failing: (id: string) => boolean = () => false) {
  const done: string[] = []
  const tried: string[] = []
  const seen = { dead: 0 }
  const jobs = createJobs<{ id: string }>({
    redisUrl: redis.url,
    name: `test-${randomBytes(6).toString('hex')}`,
    log,
    firstPauseMs: 1,
    onDeadLetter: () => seen.dead++,
    work: async ({ id }) => {
      tried.push(id)
      if (failing(id)) throw new Error('the outside is away')
      done.push(id)
    },
  })
  jobs.start()
  t.teardown(() => jobs.stop())
  return { jobs, done, tried, seen }
}

t.test('a job that is added again under its id is not done again, before, while and after it is done', async (t) => {
  const { jobs, done } = start(t)
  await Promise.all(Array.from({ length: 20 }, () => jobs.add('fct-one', { id: 'one' })))
  await eventually('the job', async () => done.length > 0)
  await jobs.add('fct-one', { id: 'one' })
  await jobs.add('fct-two', { id: 'two' })
  await eventually('the next job', async () => done.includes('two'))
  t.same(done, ['one', 'two'])
})

t.test('a job that fails is tried again until it is done', async (t) => {
  let failures = 3
  const { jobs, done, tried, seen } = start(t, () => failures-- > 0)
  await jobs.add('fct-late', { id: 'late' })
  await eventually('the job', async () => done.length > 0)
  t.same([done.length, tried.length, seen.dead], [1, 4, 0])
})

t.test('a job that fails ten times is set aside, and those behind it go on', async (t) => {
  const { jobs, done, tried, seen } = start(t, (id) => id === 'poison')
  await jobs.add('fct-poison', { id: 'poison' })
  await jobs.add('fct-good', { id: 'good' })
  await eventually('the dead letter', async () => seen.dead === 1)
  t.same(done, ['good'])
  t.equal(tried.filter((id) => id === 'poison').length, 10)
  const connection = createRedis(redis.url)
  t.teardown(() => connection.disconnect())
  await eventually('the connection', async () => connection.status === 'ready')
  const kept = await connection.keys('{jobs}:test-*:failed')
  t.equal(kept.length, 1, 'and stays for whoever looks into it')
})

t.test('whoever adds a job while Redis is away learns it at once, and the process can stop', async (t) => {
  const away = await startTestRedis(t, `jobs_${randomBytes(6).toString('hex')}`)
  const jobs = createJobs({ redisUrl: away.url, name: 'away', log, work: async () => {}, onDeadLetter: () => {} })
  jobs.start()
  await jobs.add('fct-before', {})
  await away.stop()
  await t.rejects(jobs.add('fct-after', {}))
  const startedAt = performance.now()
  await jobs.stop()
  t.ok(performance.now() - startedAt < 5000)
})
