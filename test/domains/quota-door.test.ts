import t from 'tap'
import { createAdmission } from '../../src/domains/events/admit.ts'
import { shardOf } from '../../src/domains/events/index.ts'
import { packEvents } from '../../src/domains/events/pack.ts'
import { eventually, startTestApp } from '../helpers/app.ts'
import { captureAll, newEvents, newScope } from '../helpers/pipeline.ts'
import { storedEvents } from '../helpers/quarantine.ts'
import { newBatch as events, following, period, startQuotas } from '../helpers/quota.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

// Without the role jobs nobody writes a quota but the test.
const { app, config } = await startTestApp(t, { METERHOUSE_SHARDS: '1', METERHOUSE_ROLES: 'api,sink' })
const { quotas, limit, used, send } = startQuotas(app, 1)

t.test(
  'sixteen writers at once with duplicates and retries get exactly the limit, and another tenant of the shard none of it',
  async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    t.equal(shardOf(alpha.organizationId, 1), shardOf(beta.organizationId, 1))
    await limit(alpha, period(500, 'hard'))
    await limit(beta, period(100, 'hard'))
    const shared = events(40)
    const writer = async (number: number) => {
      let accepted = 0
      for (let round = 0; round < 6; round++) {
        const batch = [...events(9), ...shared.slice(round, round + 3), ...(number % 2 ? shared.slice(0, 2) : [])]
        // Every request is sent again, as if its answer had been lost.
        for (const answer of [await send(alpha, batch), await send(alpha, batch)])
          if (answer.statusCode === 202) accepted += answer.json().accepted
          else t.equal(answer.json().code, 'billing.quota_exceeded', answer.body)
      }
      return accepted
    }
    const sums = await Promise.all(Array.from({ length: 16 }, (_, number) => writer(number)))
    const accepted = sums.reduce((sum, one) => sum + one, 0)
    t.equal(accepted, 500, 'accepted is the limit')
    t.equal(await used(alpha), 500, 'and so is the counter')
    await eventually('all of them stored', async () => (await storedEvents(app, alpha)).length === 500)
    const own = await send(beta, events(30))
    t.match(own.json(), { accepted: 30 })
    t.equal(await used(beta), 30)
  },
)

t.test(
  'a request that fits in part is taken up to the limit, event by event; a retry of what was taken is a duplicate',
  async (t) => {
    const [alpha] = await createTwoTenants(app)
    await limit(alpha, period(3, 'hard'))
    const [a, b, c, d] = events(4)
    const first = await send(alpha, [a, b])
    t.match(first.headers['ratelimit-policy'], /^"burst";q=\d+;w=1, "quota";q=3;w=86400$/)
    t.match(first.headers.ratelimit, /^"burst";r=\d+;t=[01], "quota";r=1;t=\d+$/)
    const answer = await send(alpha, [a, c, c, d, { ...d, event: 'Other' }])
    t.match(answer.json(), { accepted: 1, duplicates: 2, quotaExceeded: 2 })
    t.same(
      answer.json().results.map(({ status }: { status: string }) => status),
      ['duplicate', 'accepted', 'duplicate', 'quota_exceeded', 'quota_exceeded'],
    )
    const refused = await send(alpha, events(1))
    t.equal(refused.statusCode, 429)
    t.match(refused.json(), { code: 'billing.quota_exceeded' })
    const seconds = Number(refused.headers['retry-after'])
    t.ok(Math.abs(seconds - 23 * 3600) < 60, `${seconds} s are left of the period`)
    t.match(refused.headers.ratelimit, /^"quota";r=0;t=\d+$/)
  },
)

t.test('the period rolls by itself: what follows begins with nothing, by its own limit', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const endsAtMs = Date.now() + 700
  const current = period(2, 'hard', { endsAtMs })
  await limit(alpha, current, { next: following(current, 3, 'hard') })
  t.match((await send(alpha, events(5))).json(), { accepted: 2, quotaExceeded: 3 })
  const answer = await eventually('the next period', async () => {
    const sent = await send(alpha, events(5))
    return sent.statusCode === 202 && sent
  })
  t.match(answer.json(), { accepted: 3, quotaExceeded: 2 })
  t.match(await quotas.read(alpha.organizationId), { used: 3, period: { periodId: 'bpr_next' } })
})

t.test(
  'a period that ends without a known successor stops nothing, and what was counted since belongs to the one that follows',
  async (t) => {
    // Of an organization that nobody knows, so that no process looks for its quota.
    const scope = newScope()
    const admit = createAdmission({ redis: app.ingestRedis, ...config.ingest })
    const verdicts = async (count: number) => {
      const [captured, nowMs] = [captureAll(newEvents(count), scope, Date.now()), Date.now()]
      return (await admit(scope, 'live', packEvents(captured, nowMs))).verdicts ?? []
    }
    const news = (all: string[]) => all.filter((verdict) => verdict === 'new').length
    const current = period(1, 'hard', { endsAtMs: Date.now() + 300 })
    await limit(scope, current)
    t.same(await verdicts(2), ['new', 'refused'])
    await eventually('the end of the period', async () => news(await verdicts(2)) === 2)
    t.equal(await quotas.read(scope.organizationId), null)
    t.equal(await limit(scope, following(current, 5, 'hard')), 'exact')
    t.equal(news(await verdicts(9)), 3)
  },
)

t.test(
  'beyond the limit a soft quota takes and counts, and a sample takes one of ten by messageId, the same on a retry',
  async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    await limit(alpha, period(5, 'soft'))
    t.match((await send(alpha, events(20))).json(), { accepted: 20 })
    t.equal(await used(alpha), 20)

    await limit(beta, period(0, 'sample'))
    const many = events(1000)
    const results = async () => (await send(beta, many, '/v1/events?verbose=true')).json()
    const first = await results()
    t.ok(first.accepted > 60 && first.accepted < 140, `${first.accepted} of 1000`)
    t.equal(first.accepted + first.sampledOut, 1000)
    const again = await results()
    t.equal(again.accepted, 0)
    t.equal(again.duplicates, first.accepted)
    const statuses = ({ results }: { results: { status: string }[] }, out: string) =>
      results.flatMap(({ status }, index) => (status === out ? [index] : []))
    t.same(statuses(again, 'sampled_out'), statuses(first, 'sampled_out'))
    t.equal(await used(beta), first.accepted)
  },
)

t.test('who is stopped gets no event in, and goes on when it is not', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const batch = events(2)
  await limit(alpha, period(null, 'soft'))
  t.equal((await send(alpha, batch)).statusCode, 202)
  await limit(alpha, period(null, 'soft'), { stopped: 'paused' })
  const paused = await send(alpha, events(1))
  t.match(paused.json(), { status: 429, code: 'billing.ingestion_stopped' })
  t.equal(paused.headers['retry-after'], '300')
  t.equal((await send(beta, events(1))).statusCode, 202)
  await limit(alpha, period(null, 'soft'))
  await eventually('going on', async () => (await send(alpha, batch)).json().duplicates === 2, 3000)
})

t.test('the rate of a plan replaces the one of the platform', async (t) => {
  const [alpha] = await createTwoTenants(app)
  await limit(alpha, period(null, 'soft', { eventsPerSecond: 7 }))
  const answer = await send(alpha, events(5))
  t.match(answer.headers['ratelimit-policy'], /^"burst";q=7;w=1$/)
  const statuses = await Promise.all(Array.from({ length: 8 }, async () => (await send(alpha, events(5))).json().code))
  t.ok(statuses.includes('events.burst_exceeded'), String(statuses))
})

t.test('a policy that was read earlier never replaces one that was read later', async (t) => {
  const [{ organizationId }] = await createTwoTenants(app)
  const [early, late] = [await quotas.ticket(organizationId), await quotas.ticket(organizationId)]
  const write = (limitOf: number, ticket: number) =>
    quotas.write({ organizationId, stopped: null, next: null, current: period(limitOf, 'hard') }, ticket)
  t.equal(await write(20, late), 'inexact')
  t.equal(await write(10, early), 'stale')
  t.match(await quotas.read(organizationId), { period: { limit: 20 } })
})
