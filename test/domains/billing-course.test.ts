import fc from 'fast-check'
import t from 'tap'
import type { Plan } from '../../src/domains/billing/catalog/schemas.ts'
import { type Course, courseOf } from '../../src/domains/billing/subscriptions/course.ts'
import * as decisions from '../../src/domains/billing/subscriptions/decisions.ts'
import { follow, type Provided } from '../../src/domains/billing/subscriptions/provided.ts'
import { policyOf } from '../../src/domains/billing/subscriptions/quota.ts'
import { roll } from '../../src/domains/billing/subscriptions/rolling.ts'

const limits = {
  events: { perPeriod: null, mode: 'soft' as const },
  projects: null,
  members: null,
  retentionDays: null,
  eventsPerSecond: null,
}
const plan = (key: string, basePrice: string, more: Partial<Plan> = {}): Plan => ({
  ...{ key, version: 1, name: key, description: '', currency: 'USD', interval: 'month', basePrice, metered: [] },
  ...{ trialDays: 0, limits },
  ...more,
})
const FREE = plan('free', '0')
const SMALL = plan('small', '1000')
const LARGE = plan('large', '9000')
const YEARLY = plan('yearly', '90000', { interval: 'year' })
const included = { model: 'perUnit', unitAmount: '0.5', included: '5000' } as const
const TRIED = plan('tried', '2000', { trialDays: 14, metered: [{ meter: 'events', price: included }] })
const EURO = plan('euro', '5000', { currency: 'EUR' })

const at = (text: string) => new Date(`${text}Z`)
const agreed = (plan: Plan) => ({ plan, isCustom: false })
const seed = (more = {}) => ({
  organizationId: 'org_a',
  timeZone: 'UTC',
  currency: null,
  live: undefined,
  latest: undefined,
  tried: [],
  fallback: agreed(FREE),
  ...more,
})
/** An organization that came at midnight of 1 January. */
const start = () => courseOf(seed(), at('2026-01-01T00:00:00'))
const change = (course: Course, to: Plan, now: string) => {
  roll(course, at(now))
  decisions.changeTo(course, agreed(to), at(now))
}
const owed = ({ charges }: Course) => charges.map(({ kind, amount, due }) => `${kind} ${amount} ${due}`)
const spans = ({ ended, period }: Course) =>
  [...ended, ...(period ? [period] : [])].map(
    (one) => `${one.startsAt.toISOString().slice(0, 10)} ${one.endsAt.toISOString().slice(0, 10)} ${one.planKey}`,
  )

t.test('a start on the plan that costs nothing owes nothing', async (t) => {
  const course = start()
  t.match(course.subscription, { status: 'active', planKey: 'free' })
  t.same(owed(course), [])
  t.same(spans(course), ['2026-01-01 2026-02-01 free'])
})

t.test('an upgrade takes effect now, for what the rest of the period is worth', async (t) => {
  const course = start()
  change(course, SMALL, '2026-01-16T12:00:00')
  t.same(owed(course), ['proration_charge 500 now'])
  t.same(spans(course), ['2026-01-01 2026-02-01 small'], 'the period and its anchor stay')
  change(course, LARGE, '2026-01-24T06:00:00')
  t.same(owed(course), ['proration_charge 500 now', 'proration_credit -250 now', 'proration_charge 2250 now'])
  roll(course, at('2026-02-01T00:00:00'))
  t.same(owed(course).at(-1), 'base 9000 period_end')
  t.same(spans(course), ['2026-01-01 2026-02-01 large', '2026-02-01 2026-03-01 large'])
  t.equal(course.charges.at(-1)?.periodId, course.ended[0]?.id, 'on the invoice of the period that ended')
})

t.test('a downgrade waits for the end of the period, and can be withdrawn until then', async (t) => {
  const course = start()
  change(course, LARGE, '2026-01-01T00:00:00')
  change(course, SMALL, '2026-01-10T00:00:00')
  t.match(course.subscription, { planKey: 'large', pending: { planKey: 'small', version: 1, isCustom: false } })
  t.throws(() => change(course, SMALL, '2026-01-11T00:00:00'), { code: 'billing.already_on_plan' })
  decisions.withdraw(course)
  t.throws(() => decisions.withdraw(course), { code: 'billing.nothing_pending' })
  change(course, SMALL, '2026-01-12T00:00:00')
  roll(course, at('2026-02-01T00:00:00'))
  t.match(course.subscription, { planKey: 'small', pending: null })
  t.same(owed(course), ['proration_charge 9000 now', 'base 1000 period_end'])
  t.same(spans(course), ['2026-01-01 2026-02-01 large', '2026-02-01 2026-03-01 small'])
})

t.test('a change between months and years begins a new period now', async (t) => {
  const course = start()
  change(course, SMALL, '2026-01-01T00:00:00')
  change(course, YEARLY, '2026-01-16T12:00:00')
  t.same(owed(course), ['proration_charge 1000 now', 'proration_credit -500 now', 'base 90000 now'])
  t.same(spans(course), ['2026-01-01 2026-01-16 small', '2026-01-16 2027-01-16 yearly'])
  change(course, SMALL, '2026-03-01T00:00:00')
  roll(course, at('2027-01-16T12:00:00'))
  t.same(spans(course).at(-1), '2027-01-16 2027-02-16 small', 'back at the end of the year')
})

t.test('a cancellation ends the subscription with its period and can be taken back before', async (t) => {
  const course = start()
  t.throws(() => decisions.cancel(course, at('2026-01-02T00:00:00')), { code: 'billing.cancel_state' })
  change(course, SMALL, '2026-01-01T00:00:00')
  const first = course.subscription.id
  decisions.cancel(course, at('2026-01-10T00:00:00'))
  t.throws(() => decisions.cancel(course, at('2026-01-10T00:00:00')), { code: 'billing.cancel_state' })
  decisions.reactivate(course)
  t.throws(() => decisions.reactivate(course), { code: 'billing.cancel_state' })
  roll(course, at('2026-02-01T00:00:00'))
  t.equal(course.subscription.id, first)
  decisions.cancel(course, at('2026-02-10T00:00:00'))
  roll(course, at('2026-03-01T00:00:00'))
  t.match(course.canceled, [{ id: first, status: 'canceled', canceledAt: at('2026-03-01T00:00:00') }])
  t.match(course.subscription, { status: 'active', planKey: 'free', cancelAtPeriodEnd: false })
  t.not(course.subscription.id, first)
  t.same(spans(course).at(-1), '2026-03-01 2026-04-01 free')
})

t.test('a trial costs nothing, stops at what the plan includes, and is had once', async (t) => {
  const course = start()
  change(course, TRIED, '2026-01-10T00:00:00')
  t.match(course.subscription, { status: 'trialing', trialEndsAt: at('2026-01-24T00:00:00') })
  t.same(owed(course), [])
  const { current } = policyOf(course, null, null)
  t.match(current, { limit: 5000n, mode: 'hard' })
  roll(course, at('2026-01-24T00:00:00'))
  t.match(course.subscription, { status: 'active', anchor: at('2026-01-24T00:00:00') })
  t.same(owed(course), ['base 2000 now'])
  t.same(spans(course), ['2026-01-01 2026-01-10 free', '2026-01-10 2026-01-24 tried', '2026-01-24 2026-02-24 tried'])
  decisions.cancel(course, at('2026-02-01T00:00:00'))
  change(course, LARGE, '2026-02-25T00:00:00')
  decisions.closeNow(course, at('2026-02-26T00:00:00'))
  change(course, TRIED, '2026-02-26T00:00:00')
  t.equal(course.subscription.status, 'active', 'no second trial')
})

t.test('a trial that is canceled falls to the default plan and never costs anything', async (t) => {
  const course = start()
  change(course, TRIED, '2026-01-10T00:00:00')
  decisions.cancel(course, at('2026-01-11T00:00:00'))
  roll(course, at('2026-06-01T00:00:00'))
  t.match(course.subscription, { status: 'active', planKey: 'free' })
  t.same(owed(course), [])
})

t.test('a pause stops at once, runs out, and goes on within the period or with a new one', async (t) => {
  const course = start()
  change(course, SMALL, '2026-01-01T00:00:00')
  decisions.pause(course, at('2026-01-10T00:00:00'))
  t.equal(policyOf(course, null, null).stopped, 'paused')
  t.throws(() => decisions.pause(course, at('2026-01-10T00:00:00')), { code: 'billing.pause_state' })
  t.throws(() => change(course, LARGE, '2026-01-11T00:00:00'), { code: 'billing.subscription_paused' })
  decisions.resume(course, at('2026-01-20T00:00:00'))
  t.same(spans(course), ['2026-01-01 2026-02-01 small'], 'the same period goes on')
  decisions.pause(course, at('2026-01-25T00:00:00'))
  roll(course, at('2026-03-01T00:00:00'))
  t.equal(course.period, null)
  t.same(spans(course), ['2026-01-01 2026-02-01 small'], 'none is opened while it is paused')
  decisions.resume(course, at('2026-03-05T00:00:00'))
  t.same(spans(course).at(-1), '2026-03-05 2026-04-05 small')
  t.same(owed(course), ['proration_charge 1000 now', 'base 1000 now'])
})

t.test('a forced end bills usage up to now, gives nothing back and leaves the default plan', async (t) => {
  const course = start()
  change(course, LARGE, '2026-01-01T00:00:00')
  decisions.closeNow(course, at('2026-01-10T10:30:00'))
  t.match(course.ended, [{ planKey: 'large', endsAt: at('2026-01-10T10:30:00'), usageTo: at('2026-01-10T10:00:00') }])
  t.equal(course.period?.usageFrom.toISOString(), '2026-01-10T10:00:00.000Z')
  t.same(owed(course), ['proration_charge 9000 now'])
})

t.test('an organization keeps the currency of its first paid plan', async (t) => {
  const course = start()
  change(course, SMALL, '2026-01-01T00:00:00')
  t.equal(course.currency, 'USD')
  t.throws(() => change(course, EURO, '2026-01-02T00:00:00'), { code: 'billing.currency_differs' })
})

t.test('a clock that was missed for three months rolls every period, each once', async (t) => {
  const course = start()
  change(course, SMALL, '2026-01-01T00:00:00')
  roll(course, at('2026-04-15T00:00:00'))
  t.same(spans(course), [
    '2026-01-01 2026-02-01 small',
    '2026-02-01 2026-03-01 small',
    '2026-03-01 2026-04-01 small',
    '2026-04-01 2026-05-01 small',
  ])
  t.same(owed(course).slice(1), Array(3).fill('base 1000 period_end'))
})

t.test('whatever is changed and when, the parts of a period sum to what each plan costs for its time', async () => {
  const seconds = fc.array(fc.integer({ min: 0, max: 31 * 86_400 - 1 }), { minLength: 1, maxLength: 8 })
  const property = fc.property(
    seconds,
    fc.array(fc.bigInt({ min: 1n, max: 10n ** 9n }), { minLength: 8, maxLength: 8 }),
    (moments, prices) => {
      const course = start()
      const times = moments
        .toSorted((one, other) => one - other)
        .map((second) => new Date(at('2026-01-01T00:00:00').getTime() + second * 1000))
      const ascending = prices.toSorted((one, other) => (one < other ? -1 : 1))
      times.forEach((time, index) => {
        decisions.changeTo(course, agreed(plan(`p${index}`, String(ascending[index]))), time)
      })
      const total = course.charges.reduce((sum, { amount }) => sum + amount, 0n)
      // Each plan's exact share, as a fraction over the seconds of the period.
      const period = BigInt(31 * 86_400)
      const exact = times.reduce((sum, time, index) => {
        const until = times[index + 1]?.getTime() ?? at('2026-02-01T00:00:00').getTime()
        return sum + (ascending[index] ?? 0n) * BigInt((until - time.getTime()) / 1000)
      }, 0n)
      const off = total * period - exact
      const parts = BigInt(times.length * 2)
      if (off > parts * period || off < -parts * period) throw new Error(`off by ${off} of ${period}`)
      if (times.length === 1 && times[0]?.getTime() === at('2026-01-01T00:00:00').getTime() && total !== ascending[0])
        throw new Error('a whole period costs its price')
    },
  )
  fc.assert(property, { numRuns: 500 })
})

const provided = (plan: Plan, startsAt: string, endsAt: string, more: Partial<Provided> = {}): Provided => ({
  ...{ stripeSubscriptionId: 'sub_stripe', status: 'active', agreed: agreed(plan), cancelAtPeriodEnd: false },
  startsAt: at(startsAt),
  endsAt: at(endsAt),
  ...more,
})

t.test('a subscription of the payment provider is followed, and the same twice changes nothing', async (t) => {
  const course = start()
  const first = provided(SMALL, '2026-01-10T10:00:00', '2026-02-10T10:00:00')
  t.ok(follow(course, first, at('2026-01-10T10:00:05')))
  t.notOk(follow(course, first, at('2026-01-10T11:00:00')))
  t.match(course.subscription, { provider: 'stripe', stripeSubscriptionId: 'sub_stripe', planKey: 'small' })
  t.same(spans(course), ['2026-01-01 2026-01-10 free', '2026-01-10 2026-02-10 small'])
  t.same(owed(course), ['base 1000 now'])
  t.throws(() => change(course, LARGE, '2026-01-11T00:00:00'), { code: 'billing.managed_by_provider' })
  roll(course, at('2026-02-10T10:00:00'))
  t.notOk(follow(course, provided(SMALL, '2026-02-10T10:00:00', '2026-03-10T10:00:00'), at('2026-02-10T10:05:00')))
  t.ok(follow(course, provided(LARGE, '2026-02-10T10:00:00', '2026-03-10T10:00:00'), at('2026-02-24T10:00:00')))
  t.same(owed(course).slice(2), ['proration_credit -500 period_end', 'proration_charge 4500 period_end'])
  t.notOk(
    follow(course, { ...first, status: 'canceled', stripeSubscriptionId: 'sub_older' }, at('2026-02-25T00:00:00')),
  )
  t.ok(follow(course, { ...first, status: 'canceled' }, at('2026-02-25T00:00:00')))
  t.match(course.subscription, { provider: 'manual', planKey: 'free', stripeSubscriptionId: null })
})

t.test('where the clock of the provider is ahead of ours a period begins once and ends where it says', async (t) => {
  const course = start()
  const [first, second] = [
    provided(SMALL, '2026-01-10T10:00:03', '2026-02-10T10:00:03'),
    provided(SMALL, '2026-02-10T10:00:03', '2026-03-10T10:00:03'),
  ]
  t.ok(follow(course, first, at('2026-01-10T10:00:00')))
  t.notOk(follow(course, first, at('2026-01-10T10:00:01')), 'told again')
  t.same(owed(course), ['base 1000 now'])
  follow(course, second, at('2026-02-10T10:00:00'))
  t.notOk(follow(course, second, at('2026-02-10T10:00:04')))
  t.same(spans(course), ['2026-01-01 2026-01-10 free', '2026-01-10 2026-02-10 small', '2026-02-10 2026-03-10 small'])
  t.same(owed(course), ['base 1000 now', 'base 1000 period_end'])

  const tried = start()
  const trial = provided(TRIED, '2026-01-02T00:00:00', '2026-01-16T00:00:00', { status: 'trialing' })
  follow(tried, trial, at('2026-01-02T00:00:01'))
  const paying = provided(TRIED, '2026-01-16T00:00:00', '2026-02-16T00:00:00')
  for (const second of ['15T23:59:57', '15T23:59:58', '16T00:00:01']) follow(tried, paying, at(`2026-01-${second}`))
  t.same(owed(tried), ['base 2000 now'])
  t.match(tried, { subscription: { status: 'active' }, period: { startsAt: at('2026-01-16T00:00:00') } })
})

t.test('trial, pause and an early renewal of the provider are followed, and hours still tile', async (t) => {
  const course = start()
  const trial = provided(TRIED, '2026-01-02T00:00:00', '2026-01-16T00:00:00', { status: 'trialing' })
  t.ok(follow(course, trial, at('2026-01-02T00:00:01')))
  t.match(course, { subscription: { status: 'trialing' }, period: { isTrial: true } })
  t.same(owed(course), [])
  t.ok(follow(course, provided(TRIED, '2026-01-12T00:00:00', '2026-02-12T00:00:00'), at('2026-01-12T00:00:09')))
  t.match(course, { subscription: { status: 'active' }, period: { isTrial: false } })
  const paused = provided(TRIED, '2026-01-12T00:00:00', '2026-02-12T00:00:00', { status: 'paused' })
  t.ok(follow(course, paused, at('2026-01-20T00:00:00')))
  t.equal(policyOf(course, null, null).stopped, 'paused')
  t.ok(follow(course, { ...paused, status: 'active' }, at('2026-01-21T00:00:00')))
  t.equal(policyOf(course, null, null).stopped, null)
  t.ok(follow(course, provided(TRIED, '2026-02-01T00:00:00', '2026-03-01T00:00:00'), at('2026-02-01T00:00:30')))
  const all = [...course.ended, course.period]
  t.same(
    all.slice(1).map((period) => period?.usageFrom),
    all.slice(0, -1).map((period) => period?.usageTo),
  )
  t.same(owed(course), ['base 2000 now', 'base 2000 now'])
})
