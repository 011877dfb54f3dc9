import { once } from 'node:events'
import { sql } from 'drizzle-orm'
import t from 'tap'
import { evaluateTouched } from '../../src/domains/billing/alerts/jobs.ts'
import { createTouched } from '../../src/domains/billing/alerts/touched.ts'
import { createMailTokens } from '../../src/domains/identity/mail-token.ts'
import { createMailsService } from '../../src/domains/identity/mails/service.ts'
import { newId } from '../../src/ids.ts'
import { createRedis } from '../../src/infra/redis.ts'
import { DAY_MS, HOUR_MS } from '../helpers/billing-world.ts'
import { PRICE } from '../helpers/invoice-input.ts'
import { flatPlan } from '../helpers/plans.ts'
import type { TestTenant } from '../helpers/tenants.ts'
import { startUsageWorld } from '../helpers/usage-world.ts'

const world = await startUsageWorld(t, '2026-01-01T00:00:00Z')
const { postgres, catalog, subscriptions, alerts, evaluate, setHour, facts, door, actingAs } = world
const limits = { ...flatPlan.limits, events: { perPeriod: '1000', mode: 'hard' as const } }
const plans = {
  limited: { ...flatPlan, name: 'Limited', basePrice: '0', limits },
  metered: { ...flatPlan, name: 'Metered', metered: [{ meter: 'events', price: { ...PRICE, included: '1000' } }] },
  open: {
    ...flatPlan,
    name: 'Open',
    metered: [{ meter: 'events', price: { model: 'perUnit' as const, unitAmount: '1' } }],
  },
}
for (const [planKey, terms] of Object.entries(plans))
  await catalog.createPlanVersion({ planKey, baseVersion: 0, terms }, newId('usr'))

/** The first moment of the hour that it is. */
const thisHour = () => `${world.now().toISOString().slice(0, 13)}:00:00Z`

const told = async (tenant: TestTenant) =>
  (await facts(tenant, 'usage.alert')).map(
    ({ kind, threshold, mailed }) => `${kind} ${threshold}${mailed ? ' mailed' : ''}`,
  )
const subjects = async (tenant: TestTenant) =>
  (await facts(tenant, 'identity.notice')).map(({ subject }) => subject as string)

t.test('each threshold is told once in a period, to the owners of its organization and to nobody else', async (t) => {
  await world.to('2026-01-20T00:30:00Z')
  const [alpha, beta] = [await world.tenant('metered'), await world.tenant('metered')]
  await world.to('2026-01-22T00:30:00Z')
  await setHour(alpha, '2026-01-21T12:00:00Z', 499)
  await evaluate(alpha.organizationId)
  t.same(await told(alpha), [])
  await setHour(alpha, '2026-01-21T13:00:00Z', 1)
  await evaluate(alpha.organizationId)
  await evaluate(alpha.organizationId)
  await world.startProcess().evaluate(alpha.organizationId)
  t.same(await told(alpha), ['percent 50 mailed'])
  await setHour(alpha, '2026-01-21T14:00:00Z', 300)
  await evaluate(alpha.organizationId)
  t.same(
    (await told(alpha)).filter((one) => one.startsWith('percent')),
    ['percent 50 mailed', 'percent 80 mailed'],
  )
  t.match((await facts(alpha, 'identity.notice'))[0], {
    userId: alpha.userId,
    subject: 'You have used 50 % of your events',
    paragraphs: ['your organization has used 500 of the 1000 events that its plan includes in a billing period.'],
  })
  await evaluate(beta.organizationId)
  t.same(await told(beta), [], 'the other has used nothing')
  t.same(await subjects(beta), [])
})

t.test('a jump from 40 % to 95 % is one mail for the highest threshold, and the others are written down', async (t) => {
  const alpha = await world.tenant('metered')
  await setHour(alpha, thisHour(), 400)
  await evaluate(alpha.organizationId)
  await setHour(alpha, thisHour(), 950)
  await evaluate(alpha.organizationId)
  t.same(await told(alpha), ['percent 50', 'percent 80', 'percent 90 mailed'])
  t.same(await subjects(alpha), ['You have used 90 % of your events'])
  t.hasStrict(await facts(alpha, 'usage.alert'), [
    { kind: 'percent', meter: 'events', threshold: '50', value: '950', whole: '1000' },
    {},
    {},
  ])
})

t.test('however many processes look at once, each threshold is written, told and mailed by one of them', async (t) => {
  const tenants = [await world.tenant('metered'), await world.tenant('metered')]
  for (const tenant of tenants) await setHour(tenant, thisHour(), 2000)
  const processes = Array.from({ length: 8 }, () => world.startProcess())
  const written = await Promise.all(
    processes.flatMap((process) => tenants.map(({ organizationId }) => process.evaluate(organizationId))),
  )
  t.equal(written.flat().length, 8)
  for (const tenant of tenants) {
    t.same(await told(tenant), ['percent 50', 'percent 80', 'percent 90', 'percent 100 mailed'])
    t.same(await subjects(tenant), ['You have used 100 % of your events'])
  }
})

t.test('the next period tells anew, and a clock that goes back tells nothing twice', async (t) => {
  const alpha = await world.tenant('metered')
  const start = world.now()
  await setHour(alpha, thisHour(), 500)
  await evaluate(alpha.organizationId)
  await world.to(new Date(start.getTime() + 40 * DAY_MS))
  await evaluate(alpha.organizationId)
  t.same(await told(alpha), ['percent 50 mailed'], 'nothing was used yet')
  await setHour(alpha, thisHour(), 500)
  await evaluate(alpha.organizationId)
  t.same(
    (await told(alpha)).filter((one) => one.startsWith('percent')),
    ['percent 50 mailed', 'percent 50 mailed'],
  )
  const before = await told(alpha)
  await world.to(new Date(world.now().getTime() - HOUR_MS))
  await evaluate(alpha.organizationId)
  t.same(await told(alpha), before)
})

t.test(
  'a limit is compared with what the door counts, and the mail that it is used up is left to the quota',
  async (t) => {
    const [alpha, beta] = [await world.tenant('limited'), await world.tenant('limited')]
    const { period } = await subscriptions.current(alpha.organizationId)
    const startsAtMs = period?.startsAt.getTime() ?? 0
    const state = {
      startsAtMs,
      endsAtMs: startsAtMs + DAY_MS,
      periodId: '',
      limit: 1000,
      mode: 'hard' as const,
      eventsPerSecond: null,
    }
    const count = (used: number) => door.set(alpha.organizationId, { used, stopped: '', period: state })
    await setHour(alpha, '2026-01-01T00:00:00Z', 5000)
    count(910)
    await evaluate(alpha.organizationId)
    t.same(await subjects(alpha), ['You have used 90 % of your events'])
    t.match((await facts(alpha, 'identity.notice'))[0]?.paragraphs, [
      'your organization has used 910 of the 1000 events that its plan allows in a billing period.',
      'Beyond them events are refused until the next period begins or the plan allows more.',
    ])
    count(1000)
    await evaluate(alpha.organizationId)
    t.same(await told(alpha), ['percent 50', 'percent 80', 'percent 90 mailed', 'percent 100'])
    t.equal((await subjects(alpha)).length, 1)
    await setHour(beta, thisHour(), 1000)
    await evaluate(beta.organizationId)
    t.same(
      (await told(beta)).at(-1),
      'percent 100 mailed',
      'of a period that the door does not know the windows say it',
    )
  },
)

t.test(
  'a forecast beyond what is included is told from the tenth part of the period on, and not when it has happened',
  async (t) => {
    const [alpha, beta] = [await world.tenant('metered'), await world.tenant('metered')]
    const start = world.now()
    const hour = thisHour()
    await setHour(alpha, hour, 300)
    await setHour(beta, hour, 60)
    await world.to(new Date(start.getTime() + 2.9 * DAY_MS))
    await evaluate(alpha.organizationId)
    t.same(await told(alpha), [], 'it is early')
    await world.to(new Date(start.getTime() + 3.2 * DAY_MS))
    await evaluate(alpha.organizationId)
    await evaluate(beta.organizationId)
    t.same(await told(alpha), ['pace 100 mailed'])
    t.same(await subjects(alpha), ['Your events may not last until the end of the period'])
    t.same(await told(beta), [])
    await setHour(beta, hour, 1001)
    await evaluate(beta.organizationId)
    t.notOk((await told(beta)).some((one) => one.startsWith('pace')))
  },
)

t.test(
  'alerts of its own tell an organization of quantities, percents and spend, each at its own threshold',
  async (t) => {
    const [alpha, beta] = [await world.tenant('open'), await world.tenant('open')]
    const by = actingAs(alpha)
    for (const input of [
      { kind: 'quantity' as const, threshold: '200' },
      { kind: 'spend' as const, threshold: '300' },
      { kind: 'percent' as const, threshold: '10' },
    ])
      await alerts.create(alpha.organizationId, input, by)
    await world.to(new Date(world.now().getTime() + HOUR_MS))
    const hour = thisHour()
    for (const tenant of [alpha, beta]) {
      await setHour(tenant, hour, 250)
      await world.send(tenant, 250, { at: hour })
      await world.to(new Date(Date.parse(hour) + HOUR_MS / 2))
      await evaluate(tenant.organizationId)
    }
    t.same(await told(alpha), ['quantity 200 mailed'], 'the plan has neither limit nor included events')
    await setHour(alpha, hour, 300)
    await world.send(alpha, 50, { at: hour })
    await evaluate(alpha.organizationId)
    t.same(await told(alpha), ['quantity 200 mailed', 'spend 300 mailed'])
    t.same(await subjects(alpha), ['You have used 200 events', 'Your next invoice has passed 3.00 USD'])
    t.same(await told(beta), [], 'nobody else has them')
    t.same(await alerts.list(beta.organizationId), [])
  },
)

t.test('an alert that is deleted and made again tells nothing twice in a period', async (t) => {
  const alpha = await world.tenant('open')
  const by = actingAs(alpha)
  const input = { kind: 'quantity' as const, threshold: '10' }
  const { id } = await alerts.create(alpha.organizationId, input, by)
  await setHour(alpha, thisHour(), 10)
  await evaluate(alpha.organizationId)
  await alerts.delete(alpha.organizationId, id ?? '', by)
  await alerts.create(alpha.organizationId, input, by)
  await evaluate(alpha.organizationId)
  t.same(await told(alpha), ['quantity 10 mailed'])
  t.hasStrict(await alerts.list(alpha.organizationId), [{ threshold: '10', fired: { value: '10', mailed: true } }])
})

t.test(
  'the address for bills is told, too, unless it is the one of an owner; both mails are text and HTML',
  async (t) => {
    const [alpha, beta] = [await world.tenant('metered'), await world.tenant('metered')]
    const hour = thisHour()
    for (const [tenant, email] of [
      [alpha, 'bills@example.com'],
      [beta, beta.email],
    ] as const) {
      await postgres.withTenant(tenant.organizationId, (tx) =>
        tx.execute(sql`update billing_accounts set email = ${email}`),
      )
      await setHour(tenant, hour, 500)
      await evaluate(tenant.organizationId)
    }
    const mails = createMailsService({
      postgres,
      mailTokens: createMailTokens(['x'.repeat(32)]),
      publicUrl: 'https://example.com',
      providerNameOf: (id) => id,
    })
    const compose = async (tenant: TestTenant) => {
      const found = await facts(tenant, 'identity.notice')
      return Promise.all(found.map((payload) => mails.compose({ id: newId('fct'), kind: 'identity.notice', payload })))
    }
    t.same(
      (await compose(beta)).map((mail) => mail?.to),
      [beta.email, undefined],
    )
    const written = await compose(alpha)
    t.same(
      written.map((mail) => mail?.to),
      [alpha.email, 'bills@example.com'],
    )
    for (const mail of written) {
      t.match(mail?.text, /has used 500 of the 1000 events/)
      t.match(mail?.html, /<p[^>]*>your organization has used 500/)
    }
  },
)

t.test('who is touched is looked at until it has succeeded, and a mark that is renewed meanwhile stays', async (t) => {
  const redis = createRedis(world.environment.METERHOUSE_INGEST_REDIS_URL ?? '')
  t.teardown(() => redis.disconnect())
  await once(redis, 'ready')
  const touched = createTouched(redis)
  await touched.mark('org_a')
  await touched.mark('org_b')
  const seen: string[] = []
  const errors: unknown[] = []
  const log = { error: (fault: unknown) => errors.push(fault) }
  const round = (evaluate: (id: string) => Promise<never[]>) => evaluateTouched({ touched, evaluate, log })
  await round(async (id) => {
    seen.push(id)
    if (id === 'org_a') throw new Error('not now')
    await touched.mark('org_b')
    return []
  })
  t.same(seen.sort(), ['org_a', 'org_b'])
  t.equal(errors.length, 1)
  t.same((await touched.list()).map(([id]) => id).sort(), ['org_a', 'org_b'])
  await round(async () => [])
  t.same(await touched.list(), [])
})
