import { type SQL, sql } from 'drizzle-orm'
import t from 'tap'
import {
  createCatalogService,
  createChangesService,
  createCouponsService,
  createLimitsService,
  createSubscriptionsService,
} from '../../src/domains/billing/index.ts'
import { createMailTokens } from '../../src/domains/identity/mail-token.ts'
import { projects } from '../../src/domains/projects/tables.ts'
import { newId } from '../../src/ids.ts'
import { armFailpoints } from '../../src/infra/failpoints.ts'
import type { TenantTx } from '../../src/infra/postgres.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { sessionOf } from '../helpers/principals.ts'
import { createTenant, createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

// Without the role jobs, so that only the test rolls periods.
const { app, config } = await startTestApp(t, { METERHOUSE_ROLES: 'api' })
const { postgres } = app
const catalog = createCatalogService({ postgres })
const subscriptionsAt = (clock: () => Date) =>
  createSubscriptionsService({ postgres, catalog, defaultPlanKey: 'free', clock })

t.test('a new organization is on the default plan from the transaction on that makes it', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const payload = { name: 'New' }
  const request = { method: 'POST', url: '/v1/organizations', payload } as const
  const made = await app.inject(authorized(sessionOf(app, alpha.userId), request))
  const { id } = made.json()
  const { rows } = await postgres.withTenant(id, (tx) =>
    tx.execute(sql`select status, plan_key, plan_version, revision from subscriptions`),
  )
  t.match(rows, [{ status: 'active', plan_key: 'free', plan_version: 1 }])
  const { plan, period } = await subscriptionsAt(() => new Date()).current(id)
  t.equal(plan.key, 'free')
  t.ok(period && period.startsAt < period.endsAt)
})

t.test('an organization that is older than subscriptions gets one when it is asked for, once', async (t) => {
  const organizationId = newId('org')
  await postgres.withSystem((tx) =>
    tx.execute(sql`insert into organizations (id, name) values (${organizationId}, 'Old')`),
  )
  const services = Array.from({ length: 10 }, () => subscriptionsAt(() => new Date()))
  const answers = await Promise.all(services.map((service) => service.current(organizationId)))
  t.equal(new Set(answers.map(({ subscription }) => subscription.id)).size, 1)
  const count = sql`select (select count(*) from subscriptions) || ' ' || (select count(*) from billing_periods) as counts`
  t.match((await postgres.withTenant(organizationId, (tx) => tx.execute(count))).rows, [{ counts: '1 1' }])
})

t.test('the door is told the limit of this period and of the one that follows', async (t) => {
  const [free, unlimited] = await Promise.all([
    createTenant(postgres, 'owner', { planKey: 'free' }),
    createTenant(postgres),
  ])
  const now = new Date()
  const service = subscriptionsAt(() => now)
  const policy = await service.quotaPolicyOf(free.organizationId)
  t.match(policy, { stopped: null, current: { limit: 100_000n, mode: 'hard', eventsPerSecond: 100 } })
  t.equal(policy.next?.startsAtMs, policy.current.endsAtMs)
  t.equal(policy.next?.limit, 100_000n)
  t.equal((await service.quotaPolicyOf(unlimited.organizationId)).current.limit, null)
  const later = subscriptionsAt(() => new Date(policy.current.endsAtMs))
  t.equal((await later.quotaPolicyOf(free.organizationId)).current.periodId, policy.next?.periodId)
})

const MONTH_MS = 31 * 24 * 3_600_000
const freeTenant = (clock?: () => Date) => createTenant(postgres, 'owner', { planKey: 'free', ...(clock && { clock }) })
const post = (tenant: TestTenant, path: string, payload?: object) =>
  app.inject(
    authorized(sessionOf(app, tenant.userId), {
      method: 'POST',
      url: `/v1/organizations/${tenant.organizationId}/${path}`,
      ...(payload && { payload }),
    }),
  )
const get = (tenant: TestTenant, path: string) =>
  app.inject(authorized(sessionOf(app, tenant.userId), { url: `/v1/organizations/${tenant.organizationId}/${path}` }))
const rowsOf = async (tenant: TestTenant, query: SQL) =>
  (await postgres.withTenant(tenant.organizationId, (tx) => tx.execute(query))).rows
const periodsOf = (tenant: TestTenant) =>
  rowsOf(
    tenant,
    sql`select number, status, usage_from, usage_to, starts_at, ends_at from billing_periods order by starts_at, number`,
  )
const factsOf = async (tenant: TestTenant) =>
  (await rowsOf(tenant, sql`select kind from outbox order by created_at, id`)).map(({ kind }) => kind)
const actsOf = async (tenant: TestTenant) =>
  (await rowsOf(tenant, sql`select action from audit_entries order by sequence`)).map(({ action }) => action)

t.test('fifty clicks at once choose a plan once, in each of two organizations', async (t) => {
  const tenants = await Promise.all([freeTenant(), freeTenant()])
  const clicks = tenants.flatMap((tenant) =>
    Array.from({ length: 50 }, () => post(tenant, 'subscription/change', { planKey: 'pro' })),
  )
  const answers = await Promise.all(clicks)
  t.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 2)
  t.ok(answers.every(({ statusCode }) => [200, 409, 503].includes(statusCode)))
  for (const tenant of tenants) {
    t.match(await rowsOf(tenant, sql`select status, plan_key from subscriptions`), [
      { status: 'trialing', plan_key: 'pro' },
    ])
    const phases = await rowsOf(tenant, sql`select number, kind, plan_key from subscription_phases order by number`)
    t.same(phases, [
      { number: 0, kind: 'paid', plan_key: 'free' },
      { number: 1, kind: 'trial', plan_key: 'pro' },
    ])
    t.same(await actsOf(tenant), ['subscription.changed'])
  }
})

t.test('a change is previewed to the cent, and another organization is not touched by it', async (t) => {
  const [alpha, beta] = [await freeTenant(), await freeTenant()]
  await rowsOf(
    alpha,
    sql`insert into subscription_phases select organization_id, id, 99, 'pro', 1, false, started_at, 'trial' from subscriptions`,
  )
  const preview = (await get(alpha, 'subscription/change-preview?planKey=pro')).json()
  t.match(preview, { effective: 'now', plan: { key: 'pro' }, charges: [{ kind: 'proration_charge', currency: 'USD' }] })
  t.equal(preview.total, preview.charges[0].amount)
  const changed = await post(alpha, 'subscription/change', { planKey: 'pro' })
  t.match(changed.json(), { status: 'active', plan: { key: 'pro' }, pending: null })
  const [charge] = await rowsOf(alpha, sql`select amount::text, due, kind from billing_charges`)
  // A second or two may have passed between the two.
  t.ok(BigInt(preview.total) - BigInt(String(charge?.amount)) <= 1n)
  t.match(charge, { due: 'now', kind: 'proration_charge' })
  t.ok((await factsOf(alpha)).includes('billing.charges_due'))
  t.equal((await rowsOf(beta, sql`select 1 from billing_charges`)).length, 0)
  t.match((await get(beta, 'subscription')).json(), { plan: { key: 'free' } })
  t.equal((await post(alpha, 'subscription/change', { planKey: 'nothing' })).statusCode, 404)
})

t.test('every decision is written down and told, once', async (t) => {
  const tenant = await freeTenant()
  const choices: [string, object?][] = [
    ['change', { planKey: 'pro' }],
    ['cancel'],
    ['reactivate'],
    ['change', { planKey: 'free' }],
    ['withdraw'],
  ]
  for (const [path, payload] of choices)
    t.equal((await post(tenant, `subscription/${path}`, payload)).statusCode, 200, path)
  t.same(await actsOf(tenant), [
    'subscription.changed',
    'subscription.canceled',
    'subscription.reactivated',
    'subscription.changed',
    'subscription.change_withdrawn',
  ])
  const facts = await factsOf(tenant)
  t.equal(facts.filter((kind) => kind === 'subscription.changed').length, 6)
  t.equal(facts.filter((kind) => kind === 'quota.policy_changed').length, 6)
  t.equal((await post(tenant, 'subscription/pause')).statusCode, 409, 'a trial cannot be paused')
})

t.test('two processes that advance at once roll every period once, however many were missed', async (t) => {
  const began = new Date('2026-01-31T09:30:00Z')
  const tenants = await Promise.all([freeTenant(() => began), freeTenant(() => began)])
  const late = new Date('2026-04-15T00:00:00Z')
  const processes = [subscriptionsAt(() => late), subscriptionsAt(() => late), subscriptionsAt(() => late)]
  const done = await Promise.all(processes.map((service) => service.advance()))
  t.same(
    done.flatMap(({ errors }) => errors),
    [],
  )
  for (const tenant of tenants) {
    const periods = await periodsOf(tenant)
    t.same(
      periods.map(({ number, status }) => `${number} ${status}`),
      ['0 ended', '1 ended', '2 open'],
    )
    t.same(
      periods.map(({ ends_at }) => new Date(String(ends_at)).toISOString().slice(0, 10)),
      ['2026-02-28', '2026-03-31', '2026-04-30'],
    )
    periods.slice(1).forEach((period, index) => {
      t.same(period.usage_from, periods[index]?.usage_to, 'hours without gap or overlap')
      t.same(period.starts_at, periods[index]?.ends_at)
    })
    t.equal((await factsOf(tenant)).filter((kind) => kind === 'billing.period_ended').length, 2)
  }
  t.same((await subscriptionsAt(() => late).advance()).advanced, 0, 'nothing is left to do')
})

t.test('rolling that breaks off leaves nothing half, and is done by whoever comes next', async (t) => {
  const service = subscriptionsAt(() => new Date())
  await service.advance()
  const tenant = await freeTenant(() => new Date(Date.now() - MONTH_MS))
  armFailpoints('subscriptions.ended=error', () => {})
  const { errors } = await service.advance()
  armFailpoints('', () => {})
  t.match(errors, [{ message: /failpoint/ }])
  t.same(
    (await periodsOf(tenant)).map(({ status }) => status),
    ['open'],
  )
  armFailpoints('subscriptions.rolled=error', () => {})
  await t.rejects(service.advance(), /failpoint/)
  armFailpoints('', () => {})
  await service.advance()
  t.same(
    (await periodsOf(tenant)).map(({ status }) => status),
    ['ended', 'open'],
  )
})

t.test('what is read has been rolled, though no job has come by', async (t) => {
  const tenant = await freeTenant(() => new Date(Date.now() - MONTH_MS))
  t.equal((await get(tenant, 'subscription')).json().period.number, 1)
  t.same(
    (await periodsOf(tenant)).map(({ status }) => status),
    ['ended', 'open'],
  )
})

t.test('a plan limits projects, also when two are made at once, and the next plan has room', async (t) => {
  const [tenant, other] = [await freeTenant(), await freeTenant()]
  const made = await Promise.all(['a', 'b', 'c'].map((name) => post(tenant, 'projects', { name })))
  t.same(made.map(({ statusCode }) => statusCode).sort(), [201, 409, 409])
  const refused = made.find(({ statusCode }) => statusCode === 409)
  t.match(refused?.json(), { code: 'billing.limit_reached', detail: /Free allows 2 projects/ })
  t.equal((await post(other, 'projects', { name: 'a' })).statusCode, 201)
  await post(tenant, 'subscription/change', { planKey: 'pro' })
  t.equal((await post(tenant, 'projects', { name: 'd' })).statusCode, 201)
})

t.test('a plan limits members: nobody is invited, and nobody joins beyond it', async (t) => {
  const tenant = await freeTenant()
  const guests = await Promise.all([createTenant(postgres), createTenant(postgres), createTenant(postgres)])
  const invite = (email: string) => post(tenant, 'invitations', { email, role: 'viewer' })
  const ids = await Promise.all(guests.map(async ({ email }) => (await invite(email)).json().id))
  const tokenOf = createMailTokens([config.http.jwtSecret]).tokenOf
  const joined = await Promise.all(
    guests.map(({ userId }, index) => {
      const request = {
        method: 'POST',
        url: '/v1/invitations/accept',
        payload: { token: tokenOf(ids[index]) },
      } as const
      return app.inject(authorized(sessionOf(app, userId), request))
    }),
  )
  t.same(joined.map(({ statusCode }) => statusCode).sort(), [200, 200, 409])
  t.match((await invite('more@example.com')).json(), { code: 'billing.limit_reached', detail: /Free allows 3 members/ })
  t.equal((await rowsOf(tenant, sql`select 1 from invitations`)).length, 1, 'the invitation is not used up')
})

t.test('a coupon is redeemed once by each organization, as often as the operator says', async (t) => {
  const tenants = await Promise.all([freeTenant(), freeTenant(), freeTenant()])
  const coupons = createCouponsService({ postgres })
  const terms = { kind: 'percent', basisPoints: 1250, duration: { kind: 'periods', periods: 3 } } as const
  await coupons.create({ code: 'SPRING', terms, redemptionsMax: 2 }, 'usr_operator')
  await t.rejects(coupons.create({ code: 'SPRING', terms }, 'usr_operator'), { code: 'billing.coupon_taken' })
  const redeem = (tenant: TestTenant) => post(tenant, 'billing/coupons', { code: 'spring' })
  const [first, second, third] = tenants as [TestTenant, TestTenant, TestTenant]
  t.match((await redeem(first)).json(), { coupons: [{ code: 'SPRING', summary: '12.5 % off for 3 periods' }] })
  t.equal((await redeem(first)).json().code, 'billing.coupon_used')
  t.equal((await redeem(second)).statusCode, 200)
  t.equal((await redeem(third)).json().code, 'billing.coupon_not_found')
  t.match(await coupons.redeemedBy(first.organizationId), [{ coupon: { duration: { kind: 'periods', periods: 3n } } }])
  t.same(await coupons.redeemedBy(third.organizationId), [])
})

t.test('an organization says who is billed, and its next subscription follows the clock it names', async (t) => {
  const [alpha, beta] = [await freeTenant(), await freeTenant()]
  const url = `/v1/organizations/${alpha.organizationId}/billing`
  const patch = (payload: object) =>
    app.inject(authorized(sessionOf(app, alpha.userId), { method: 'PATCH', url, payload }))
  const details = { name: 'Acme', address: ['Main Street 1', 'Springfield'], timeZone: 'America/New_York' }
  t.match((await patch(details)).json(), details)
  t.match((await patch({ timeZone: 'Mars/Olympus' })).json(), { errors: [{ path: '/timeZone' }] })
  t.equal((await patch({ taxBasisPoints: 0 })).statusCode, 400, 'what the operator sets is not for members')
  t.match((await get(beta, 'billing')).json(), { name: '', timeZone: 'UTC' })
  await createChangesService({ subscriptions: subscriptionsAt(() => new Date()), catalog }).closeNow(
    alpha.organizationId,
    {
      principal: { kind: 'session', userId: alpha.userId, sessionId: '', expiresAtMs: 0 },
      ip: '127.0.0.1',
      userAgent: undefined,
    },
  )
  t.equal((await get(alpha, 'subscription')).json().timeZone, 'America/New_York')
})

t.test('a running server rolls the periods whose time is over', async (t) => {
  const { app: running } = await startTestApp(t, { METERHOUSE_ROLES: 'jobs' })
  const began = new Date(Date.now() - MONTH_MS)
  const { organizationId } = await createTenant(running.postgres, 'owner', { planKey: 'free', clock: () => began })
  await eventually('the period', async () => {
    const { rows } = await running.postgres.withTenant(organizationId, (tx) =>
      tx.execute(sql`select 1 from billing_periods where status = 'ended'`),
    )
    return rows.length === 1
  })
})

t.test(
  'the operator agrees a plan, puts an organization on it, raises its limit and ends it; its members see it',
  async (t) => {
    const [tenant, other, operator] = [await freeTenant(), await freeTenant(), await createTenant(postgres)]
    await postgres.withSystem((tx) =>
      tx.execute(sql`update users set is_operator = true, operator_reason = 'test' where id = ${operator.userId}`),
    )
    const act = (method: 'POST' | 'PATCH', path: string, payload?: object, organizationId = tenant.organizationId) =>
      app.inject(
        authorized(sessionOf(app, operator.userId), {
          method,
          url: `/v1/admin/organizations/${organizationId}/${path}`,
          ...(payload && { payload }),
        }),
      )
    const { key: _key, version: _version, ...terms } = await catalog.readPlan('pro')
    const agreed = { ...terms, name: 'Acme', basePrice: '100000', trialDays: 0 }
    t.equal((await act('POST', 'plans', { planKey: 'acme', baseVersion: 0, terms: agreed })).statusCode, 201)
    const assigned = await act('POST', 'plan', { planKey: 'acme', isCustom: true })
    t.match(assigned.json(), { status: 'active', isCustom: true, plan: { key: 'acme', version: 1 } })
    t.equal((await act('POST', 'plan', { planKey: 'acme', isCustom: true }, other.organizationId)).statusCode, 404)
    t.equal((await act('POST', 'plan', { planKey: 'pro', isCustom: false }, newId('org'))).statusCode, 404)
    const limitOverride = { perPeriod: '7', mode: 'hard' }
    t.equal((await act('PATCH', 'billing', { taxBasisPoints: 1900, limitOverride })).json().taxBasisPoints, 1900)
    const service = subscriptionsAt(() => new Date())
    t.match(await service.quotaPolicyOf(tenant.organizationId), {
      current: { limit: 7n, mode: 'hard' },
      next: { limit: 7n },
    })
    t.match((await act('POST', 'close-subscription')).json(), { plan: { key: 'free' } })
    t.same(await actsOf(tenant), [
      'plan.agreed',
      'subscription.plan_assigned',
      'billing_terms.changed',
      'subscription.closed',
    ])
    const actors = await rowsOf(tenant, sql`select distinct actor_kind from audit_entries`)
    t.same(actors, [{ actor_kind: 'operator' }])
    t.same(await actsOf(other), [])
    t.match((await get(other, 'subscription')).json(), { plan: { key: 'free' } })
    const coupon = {
      code: 'OPERATOR',
      terms: { kind: 'amount', amount: '500', currency: 'USD', duration: { kind: 'once' } },
    }
    const made = await app.inject(
      authorized(sessionOf(app, operator.userId), { method: 'POST', url: '/v1/admin/coupons', payload: coupon }),
    )
    t.match(made.json(), { code: 'OPERATOR', summary: '5.00 USD off once' })
  },
)

t.test('whoever asks for the last place waits for whoever has just taken it', async (t) => {
  const { organizationId } = await freeTenant()
  const takeRoom = await createLimitsService({ planOf: () => catalog.readPlan('free') }).roomForProject(organizationId)
  const take = (tx: TenantTx) => takeRoom(tx, () => tx.$count(projects))
  const [taken, decided] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const first = postgres.withTenant(organizationId, async (tx) => {
    await take(tx)
    taken.resolve()
    await decided.promise
    await tx.insert(projects).values({ id: newId('prj'), organizationId, name: 'The last' })
  })
  await taken.promise
  const second = postgres.withTenant(organizationId, take).then(
    () => 'taken twice',
    (error) => error.code,
  )
  const isWaiting = eventually('the wait', async () => {
    const waiting = sql`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
    return (await postgres.withTenant(organizationId, (tx) => tx.execute(waiting))).rows.length > 0
  })
  await Promise.race([second, isWaiting])
  decided.resolve()
  await first
  t.equal(await second, 'billing.limit_reached')
  isWaiting.catch(() => {
    // Nobody had to wait, which the answer shows.
  })
})
