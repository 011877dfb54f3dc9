import t from 'tap'
import type { StoredPlan } from '../../src/domains/tracking-plans/plan.ts'
import { createServing } from '../../src/domains/tracking-plans/serving.ts'
import { newScope } from '../helpers/pipeline.ts'

const stored = (version: number): StoredPlan => ({
  version,
  mode: 'observe',
  unplannedEvents: 'allow',
  schemas: [{ event: 'Order', version: 1, schema: { properties: { properties: { type: 'object' } } } }],
})

/** Plans of a clock and a store that a test holds in its hands; every reading waits for `answer` or `fail`. */
function openServing() {
  const state = { nowMs: 1_000_000 }
  const readings: {
    projectId: string
    known: number | undefined
    answer: (plan?: StoredPlan) => void
    fail: () => void
  }[] = []
  const serving = createServing(
    ({ projectId }, known) =>
      new Promise((resolve, reject) => {
        readings.push({ projectId, known, answer: resolve, fail: () => reject(new Error('Postgres is away')) })
      }),
    () => state.nowMs,
  )
  return { ...serving, readings, pass: (ms: number) => Object.assign(state, { nowMs: state.nowMs + ms }) }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

t.test('a plan is read once however many ask, and each project has its own', async (t) => {
  const { planOf, readings } = openServing()
  const [alpha, beta] = [newScope(), newScope()]
  const asked = [planOf(alpha), planOf(alpha), planOf(beta)]
  t.same(
    readings.map(({ projectId }) => projectId),
    [alpha.projectId, beta.projectId],
  )
  readings[0]?.answer(stored(1))
  readings[1]?.answer(stored(2))
  t.match(await Promise.all(asked), [{ version: 1 }, { version: 1 }, { version: 2 }])
  t.match([await planOf(alpha), await planOf(beta)], [{ version: 1 }, { version: 2 }])
  t.equal(readings.length, 2)
})

t.test('a plan that is two seconds old is read in the background, and one of four seconds is waited for', async (t) => {
  const { planOf, readings, pass } = openServing()
  const alpha = newScope()
  const first = planOf(alpha)
  readings[0]?.answer(stored(1))
  await first
  pass(2500)
  t.match(await planOf(alpha), { version: 1 }, 'nobody waits')
  t.equal(readings[1]?.known, 1)
  readings[1]?.answer(undefined)
  await turn()
  pass(1900)
  t.match(await planOf(alpha), { version: 1 })
  t.equal(readings.length, 2, 'an unchanged plan is young again')
  pass(2200)
  const waiting = planOf(alpha)
  readings[2]?.answer(stored(2))
  t.match(await waiting, { version: 2 })
})

t.test('the last known plan serves while Postgres is away; one that was never read is 503', async (t) => {
  const { planOf, readings, pass } = openServing()
  const [alpha, beta] = [newScope(), newScope()]
  const cold = planOf(beta)
  readings[0]?.fail()
  await t.rejects(cold, { message: /cannot be read right now/, status: 503 })
  const first = planOf(alpha)
  readings[1]?.answer(stored(1))
  await first
  pass(60_000)
  const stale = planOf(alpha)
  readings[2]?.fail()
  t.match(await stale, { version: 1 })
  t.match(await planOf(alpha), { version: 1 }, 'the next one does not wait for the same failure')
  pass(1500)
  await planOf(alpha)
  readings.at(-1)?.fail()
  await turn()
  pass(3000)
  const back = planOf(alpha)
  readings.at(-1)?.answer(stored(2))
  t.match(await back, { version: 2 })
})

t.test('what was read before a change is not kept after it', async (t) => {
  const { planOf, expire, readings } = openServing()
  const alpha = newScope()
  const before = planOf(alpha)
  expire(alpha)
  readings[0]?.answer(stored(1))
  t.match(await before, { version: 1 })
  const after = planOf(alpha)
  t.equal(readings.length, 2)
  readings[1]?.answer(stored(2))
  t.match(await after, { version: 2 })
  expire(alpha)
  const again = planOf(alpha)
  readings[2]?.answer(stored(3))
  t.match(await again, { version: 3 })
})
