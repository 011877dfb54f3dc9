import { sql } from 'drizzle-orm'
import type { FastifyInstance, InjectOptions } from 'fastify'
import t from 'tap'
import { buildApp } from '../../src/app.ts'
import { openTrackingPlans } from '../../src/domains/tracking-plans/index.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { makeMember, sessionOf } from '../helpers/principals.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const LIMIT_MS = 5000
const ORDER = objectSchema({ total: { type: 'number' } }, ['total'])

function objectSchema(properties: Record<string, unknown>, required: string[] = []) {
  return { type: 'object', properties: { properties: { type: 'object', properties, required } } }
}

/** Requests about the plan of a tenant, by one of its people. */
function planner(app: FastifyInstance, tenant: TestTenant, credential = sessionOf(app, tenant.userId)) {
  const base = `/v1/projects/${tenant.projectId}/tracking-plan`
  const send = (
    method: InjectOptions['method'],
    path: string,
    payload?: object,
    headers: Record<string, string> = {},
  ) =>
    app.inject(
      authorized(credential, { method, url: base + path, headers, ...(payload ? { payload } : {}) } as InjectOptions),
    )
  const eventPath = (event: string) => `/events/${encodeURIComponent(event)}`
  return {
    send,
    read: async () => (await send('GET', '')).json(),
    put: (event: string, schema: object, reason: object = {}, headers = {}) =>
      send('PUT', eventPath(event), { schema, ...reason }, headers),
    get: (event: string) => send('GET', eventPath(event)),
    remove: (event: string, headers = {}) => send('DELETE', eventPath(event), undefined, headers),
    check: async (...events: object[]) => (await send('POST', '/check', { events })).json(),
  }
}

t.test('a plan', async (t) => {
  const { app } = await startTestApp(t)
  const [alpha, beta] = await createTwoTenants(app)
  const mine = planner(app, alpha)
  const theirs = planner(app, beta)

  await t.test('that was never made checks nothing and is at version 0', async (t) => {
    t.match(await mine.read(), { version: 0, mode: 'observe', unplannedEvents: 'allow', events: [], changedBy: null })
    t.match(await mine.check({ event: 'Anything' }), {
      version: 0,
      data: [{ index: 0, action: 'accept', violations: [] }],
    })
    t.equal((await mine.get('Anything')).json().code, 'tracking_plans.event_not_found')
    t.equal((await mine.remove('Anything')).statusCode, 404)
  })

  await t.test('makes a new version of every change, and says who, when and why', async (t) => {
    const first = await mine.put('Order / Completed', ORDER, { comment: 'first' })
    t.equal(first.statusCode, 200, first.body)
    t.equal(first.headers.etag, '"1"')
    t.same(first.json().schema, ORDER)
    const second = await mine.send('PATCH', '', { mode: 'reject', unplannedEvents: 'warn' })
    t.match(second.json(), { version: 2, mode: 'reject', unplannedEvents: 'warn', changedBy: alpha.userId })
    const third = await mine.put('Order / Completed', objectSchema({ total: { type: 'string' } }))
    t.match(third.json(), { version: 3, planVersion: 3 })
    const fourth = await mine.remove('Order / Completed')
    t.equal(fourth.statusCode, 204, fourth.body)
    t.equal(fourth.headers.etag, '"4"')
    t.match(await mine.read(), { version: 4, events: [] })

    const { data, nextCursor } = (await mine.send('GET', '/versions?limit=3')).json()
    t.match(data, [
      { version: 4, change: 'removal', event: 'Order / Completed' },
      { version: 3, change: 'schema' },
      { version: 2, change: 'settings', event: null, mode: 'reject' },
    ])
    const rest = (await mine.send('GET', `/versions?limit=3&cursor=${nextCursor}`)).json()
    t.match(rest, {
      data: [{ version: 1, comment: 'first', changedBy: alpha.userId, mode: 'observe' }],
      nextCursor: null,
    })
    t.match((await mine.send('GET', '/versions/1')).json(), {
      version: 1,
      events: [{ event: 'Order / Completed', schema: ORDER }],
    })
    t.equal((await mine.send('GET', '/versions/9')).json().code, 'tracking_plans.version_not_found')
    t.match(await theirs.read(), { version: 0, events: [] }, 'and the other organization has none of it')
    t.equal((await theirs.send('GET', '/versions/1')).statusCode, 404)
  })

  await t.test('is rolled back by publishing an old version anew', async (t) => {
    const restored = await mine.send('POST', '/versions/2/restore', { comment: 'it was right' })
    t.match(restored.json(), { version: 5, mode: 'reject', events: [{ event: 'Order / Completed', version: 5 }] })
    t.same((await mine.get('Order / Completed')).json().schema, ORDER)
    t.match((await mine.send('GET', '/versions?limit=1')).json().data, [{ change: 'restore', restoredVersion: 2 }])
    t.match((await mine.send('POST', '/versions/2/restore', {})).json(), { version: 5 }, 'again changes nothing')
    t.match((await mine.send('POST', '/versions/4/restore', {})).json(), { version: 6, events: [] })
    t.equal((await mine.send('POST', '/versions/99/restore', {})).statusCode, 404)
  })

  await t.test('takes the same change twice as one', async (t) => {
    const { version } = await theirs.read()
    for (const _ of [1, 2]) {
      const answer = await theirs.put('Signed Up', ORDER, { expectedVersion: version })
      t.match(answer.json(), { planVersion: version + 1 })
    }
    t.match((await theirs.send('PATCH', '', { mode: 'observe' })).json(), { version: version + 1 })
  })

  await t.test('that has changed meanwhile is not changed on the ground of what it was', async (t) => {
    const { version } = await theirs.read()
    for (const attempt of [
      () => theirs.put('Late', ORDER, { expectedVersion: version - 1 }),
      () => theirs.put('Late', ORDER, {}, { 'if-match': `"${version - 1}"` }),
      () => theirs.remove('Signed Up', { 'if-match': `"${version - 1}"` }),
      () => theirs.send('PATCH', '', { mode: 'reject' }, { 'if-match': `"${version + 1}"` }),
      () =>
        theirs.send('POST', '/versions/1/restore', { expectedVersion: version + 3 }).then(async (answer) =>
          // The plan is as it was at version 1, so there is nothing that could conflict.
          answer.statusCode === 200 ? theirs.put('Late', ORDER, { expectedVersion: 0 }) : answer,
        ),
    ]) {
      const answer = await attempt()
      t.equal(answer.statusCode, 409, answer.body)
      t.equal(answer.json().code, 'tracking_plans.version_conflict')
    }
    const twoMinds = await theirs.put('Late', ORDER, { expectedVersion: 1 }, { 'if-match': '"2"' })
    t.match(twoMinds.json(), { status: 400, errors: [{ path: '/expectedVersion' }] })
    t.match(await theirs.read(), { version, events: [{ event: 'Signed Up' }] })
  })

  await t.test('changed by many at once keeps one change for each version', async (t) => {
    const { version } = await mine.read()
    const expecting = await Promise.all(
      Array.from({ length: 6 }, (_, index) => mine.put(`Race ${index}`, ORDER, { expectedVersion: version })),
    )
    t.same(expecting.map(({ statusCode }) => statusCode).sort(), [200, 409, 409, 409, 409, 409])
    const any = await Promise.all([0, 1, 2].map((index) => mine.put(`Free ${index}`, ORDER)))
    t.same(
      any.map(({ statusCode }) => statusCode),
      [200, 200, 200],
    )
    const after = await mine.read()
    t.equal(after.version, version + 4)
    t.equal(after.events.length, 4)
  })

  await t.test('has a history that the server itself cannot change', async (t) => {
    for (const table of ['tracking_plan_versions', 'tracking_plan_schemas']) {
      for (const statement of [`update ${table} set version = version`, `delete from ${table}`, `truncate ${table}`]) {
        const forbidden = { cause: { code: '42501' } }
        await t.rejects(
          app.postgres.withTenant(alpha.organizationId, (tx) => tx.execute(sql.raw(statement))),
          forbidden,
        )
        await t.rejects(
          app.postgres.withSystem((tx) => tx.execute(sql.raw(statement))),
          forbidden,
        )
      }
    }
    await app.postgres.withTenant(beta.organizationId, (tx) => tx.execute(sql`delete from projects`))
    const { rows } = await app.postgres.withSystem((tx) =>
      tx.execute(sql`select distinct organization_id from tracking_plan_schemas`),
    )
    t.same(rows, [{ organization_id: alpha.organizationId }], 'it goes with its project')
  })

  await t.test('may be read by every role and changed by those who build', async (t) => {
    for (const [role, status] of [
      ['viewer', 403],
      ['analyst', 403],
      ['developer', 200],
    ] as const) {
      const other = planner(app, alpha, await makeMember(app, alpha, role))
      t.equal((await other.send('GET', '')).statusCode, 200)
      t.equal((await other.put(`By ${role}`, ORDER)).statusCode, status)
    }
  })

  await t.test('holds names of every script and at most 500 of them', async (t) => {
    const name = '注文完了/😀'.repeat(20).slice(0, 200)
    t.equal((await mine.put(name, ORDER)).statusCode, 200)
    t.match((await mine.get(name)).json(), { event: name })
    const { version, events } = await mine.read()
    await app.postgres.withTenant(alpha.organizationId, async (tx) => {
      await tx.execute(sql`insert into tracking_plan_versions
        select organization_id, project_id, version + 1, change, mode, unplanned_events, event, null, null, changed_by
        from tracking_plan_versions where version = ${version}`)
      await tx.execute(sql`insert into tracking_plan_schemas select ${alpha.organizationId}, ${alpha.projectId}, 'Filled ' || n, ${version + 1}, '{}'
        from generate_series(1, ${500 - events.length}) n`)
    })
    const answer = await mine.put('One more', ORDER)
    t.match(answer.json(), { status: 422, code: 'tracking_plans.too_large' })
    t.equal((await mine.put(name, objectSchema({}))).statusCode, 200, 'what is in it can be changed')
  })
})

t.test('a change reaches every other process', async (t) => {
  const { app, config } = await startTestApp(t)
  const second = await buildApp(config, false)
  const serving = openTrackingPlans(second)
  await second.ready()
  t.teardown(() => second.close())
  const [alpha, beta] = await createTwoTenants(app)
  const mine = planner(app, alpha)
  t.equal(await serving.planOf(alpha), null)
  t.equal(await serving.planOf(beta), null)

  const takes = async (change: () => Promise<unknown>, isThere: () => Promise<boolean>) => {
    await change()
    const startedAt = performance.now()
    await eventually('the change', isThere, LIMIT_MS + 1000)
    return performance.now() - startedAt
  }
  const published = await takes(
    () => mine.put('Order', ORDER),
    async () => (await serving.planOf(alpha))?.version === 1,
  )
  t.ok(published < 1800, `${published} ms, too soon to have been noticed by age`)
  const plan = await serving.planOf(alpha)
  t.match(plan?.check({ event: 'Order', properties: {} }), [{ path: '/properties/total', keyword: 'required' }])
  t.equal(plan?.check({ event: 'Order', properties: { total: 1 } }), null)
  const removed = await takes(
    () => mine.remove('Order'),
    async () => (await serving.planOf(alpha)) === null,
  )
  t.ok(removed < 1800, `${removed} ms`)
  t.equal(await serving.planOf(beta), null)
})

t.test('a change reaches a process that nobody tells within five seconds', async (t) => {
  // Without the role jobs nothing moves facts out of the outbox.
  const { app, config } = await startTestApp(t, { METERHOUSE_ROLES: 'api' })
  const second = await buildApp(config, false)
  const serving = openTrackingPlans(second)
  await second.ready()
  t.teardown(() => second.close())
  const [alpha] = await createTwoTenants(app)
  t.equal(await serving.planOf(alpha), null)
  await planner(app, alpha).put('Order', ORDER)
  const startedAt = performance.now()
  await eventually('the change', async () => (await serving.planOf(alpha))?.version === 1, LIMIT_MS + 1000)
  t.ok(performance.now() - startedAt < LIMIT_MS)
})
