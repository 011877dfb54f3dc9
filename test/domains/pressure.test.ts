import t, { type Test } from 'tap'
import type { BufferState } from '../../src/domains/events/buffer-gauge.ts'
import { createFairShare } from '../../src/domains/events/fair-share.ts'
import { createKnownQuotas } from '../../src/domains/events/known-quotas.ts'
import { createPressure } from '../../src/domains/events/pressure.ts'
import { Problem } from '../../src/errors.ts'
import { createMetrics } from '../../src/infra/metrics.ts'

const HEAVY = 'org_heavy'
const LIGHT = 'org_light'

/** A door over a buffer that is as the test says, before which one organization sends a hundred times what the other does. */
function startDoor(known: Partial<BufferState>, loopDelayMs = 0) {
  const buffer = { answers: true, memoryShare: undefined, lagMs: 0, laneLagsMs: new Map(), drainMs: 0, ...known }
  const metrics = createMetrics()
  const fairShare = createFairShare()
  const quotas = createKnownQuotas({ metrics })
  const pressure = createPressure({ buffer, loopDelayMs: () => loopDelayMs, fairShare, quotas, metrics })
  pressure.noteTaken(HEAVY, 1_000_000)
  pressure.noteTaken(LIGHT, 10_000)
  return { pressure, metrics, buffer }
}

interface Refusal {
  status: number
  code: string
  retryAfter: number
}

function refusalOf(check: () => void): Refusal | null {
  try {
    check()
    return null
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    return { status: error.status, code: error.code, retryAfter: Number(error.headers['retry-after']) }
  }
}

function within(t: Test, refusal: Refusal | null, min: number, max: number): void {
  t.ok(refusal && refusal.retryAfter >= min && refusal.retryAfter <= max, `${refusal?.retryAfter} s`)
}

t.test('below 60 % of its memory, and without a limit, the buffer takes everything', async (t) => {
  for (const memoryShare of [undefined, 0, 0.59]) {
    const { pressure } = startDoor({ memoryShare, lagMs: 600_000, drainMs: Number.POSITIVE_INFINITY })
    for (const organizationId of [HEAVY, LIGHT])
      t.equal(
        refusalOf(() => pressure.check(organizationId, 1000)),
        null,
      )
    t.notOk(pressure.isCrowded())
  }
})

t.test('from 60 % only who sends more than the fair share waits, for as long as the sink needs', async (t) => {
  const { pressure, metrics } = startDoor({ memoryShare: 0.7, lagMs: 40_000, drainMs: 20_000 })
  const refusal = refusalOf(() => pressure.check(HEAVY, 1000))
  t.match(refusal, { status: 429, code: 'events.over_fair_share' })
  within(t, refusal, 14, 26)
  t.equal(
    refusalOf(() => pressure.check(LIGHT, 1000)),
    null,
  )
  t.match(await metrics.registry.metrics(), /meterhouse_ingest_refusals_total\{reason="fair_share"\} 1/)
  t.ok(pressure.isCrowded())
})

t.test('organizations that send the same are never above their share', async (t) => {
  const { pressure } = startDoor({ memoryShare: 0.7 })
  pressure.noteTaken(LIGHT, 990_000)
  for (const organizationId of [HEAVY, LIGHT])
    t.equal(
      refusalOf(() => pressure.check(organizationId, 1000)),
      null,
    )
})

t.test('from 75 % the reserve is for those who send little, from 85 % for nobody', async (t) => {
  const { pressure, buffer } = startDoor({ memoryShare: 0.8, lagMs: 40_000, drainMs: 2000 })
  const refusal = refusalOf(() => pressure.check(HEAVY, 1000))
  t.match(refusal, { status: 503, code: 'events.buffer_full' })
  within(t, refusal, 7, 13)
  t.equal(
    refusalOf(() => pressure.check(LIGHT, 1000)),
    null,
  )
  t.equal(
    refusalOf(() => pressure.check('org_new', 1000)),
    null,
    'who has sent nothing yet sends little',
  )
  await pressure.assertOpen()
  Object.assign(buffer, { memoryShare: 0.86, drainMs: Number.POSITIVE_INFINITY })
  for (const organizationId of [HEAVY, LIGHT, undefined]) {
    const refusal = refusalOf(() => pressure.check(organizationId, 1000))
    t.match(refusal, { status: 503, code: 'events.buffer_full' })
    within(t, refusal, 42, 78)
  }
  await t.rejects(pressure.assertOpen())
})

t.test('a server that is behind, or that holds 256 MB of bodies, lets nobody in until it has caught up', async (t) => {
  const { pressure } = startDoor({}, 250)
  const refusal = refusalOf(() => pressure.check(LIGHT, 1000))
  t.match(refusal, { status: 503, code: 'events.overloaded' })
  within(t, refusal, 1, 3)

  const idle = startDoor({}).pressure
  idle.addInFlight(250 * 1024 * 1024)
  t.match(
    refusalOf(() => idle.check(LIGHT, 10 * 1024 * 1024)),
    { status: 503, code: 'events.overloaded' },
  )
  idle.addInFlight(-10 * 1024 * 1024)
  t.equal(
    refusalOf(() => idle.check(LIGHT, 10 * 1024 * 1024)),
    null,
  )
})

t.test('a buffer that does not answer is not waited for by every request', async (t) => {
  const { pressure } = startDoor({ answers: false })
  t.match(
    refusalOf(() => pressure.check(LIGHT, 1000)),
    { status: 503, code: 'events.buffer_unavailable' },
  )
})

t.test('a burst that was found is refused until it ends, and nobody else with it', async (t) => {
  const { pressure } = startDoor({})
  pressure.noteBurst(HEAVY, 700)
  t.same(
    refusalOf(() => pressure.check(HEAVY, 1000)),
    { status: 429, code: 'events.burst_exceeded', retryAfter: 1 },
  )
  t.same(
    refusalOf(() => pressure.checkLate(HEAVY)),
    { status: 429, code: 'events.burst_exceeded', retryAfter: 1 },
  )
  t.equal(
    refusalOf(() => pressure.check(LIGHT, 1000)),
    null,
  )
  pressure.noteBurst(HEAVY, -1)
  t.equal(
    refusalOf(() => pressure.check(HEAVY, 1000)),
    null,
  )
})

t.test('what an organization sent is forgotten by half every ten seconds, and its place after a minute', async (t) => {
  const fairShare = createFairShare()
  fairShare.note(HEAVY, 900, 0)
  fairShare.note(LIGHT, 100, 0)
  t.equal(fairShare.shareOf(HEAVY, 0), 1.8)
  t.equal(fairShare.shareOf('org_new', 0), 0)
  fairShare.note(LIGHT, 400, 10_000)
  t.equal(fairShare.shareOf(LIGHT, 10_000), 1, '450 of 900 bytes, of two')
  fairShare.note(LIGHT, 1, 70_001)
  t.equal(fairShare.shareOf(HEAVY, 70_001), 0)
})
