import t from 'tap'
import { buildApp } from '../../src/app.ts'
import { openTrackingPlans, type Violation } from '../../src/domains/tracking-plans/index.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { sessionOf } from '../helpers/principals.ts'
import { createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const violation = (field: string, keyword = 'type'): Violation => ({ path: field, field, keyword, message: 'is wrong' })

t.test('violations are counted by event, field and keyword, over all processes', async (t) => {
  const { app, config } = await startTestApp(t)
  const processes = await Promise.all(
    [1, 2].map(async () => {
      const other = await buildApp(config, false)
      const trackingPlans = openTrackingPlans(other)
      await other.ready()
      t.teardown(() => other.close())
      return trackingPlans
    }),
  )
  const [alpha, beta] = await createTwoTenants(app)
  const [first, second] = processes
  if (!first || !second) return
  const read = async (tenant: TestTenant, query = '') => {
    const url = `/v1/projects/${tenant.projectId}/tracking-plan/violations${query}`
    return (await app.inject(authorized(sessionOf(app, tenant.userId), { url }))).json()
  }
  const startedAt = Date.now()
  for (let index = 0; index < 10; index++) {
    first.count(alpha, 'Order', [
      violation('/properties/total'),
      violation('/properties/lines/*/sku'),
      violation('/properties/total'),
    ])
    second.count(alpha, 'Order', [violation('/properties/total')])
  }
  second.count(alpha, 'Sign "Up"\n', [violation('/properties/a', 'required')])
  first.count(beta, 'Theirs', [violation('/properties/b')])

  const { data } = await eventually('the counts', async () => {
    const answer = await read(alpha)
    return answer.data[0]?.count === 20 && answer.data.length === 3 && answer
  })
  t.match(data, [
    { event: 'Order', field: '/properties/total', keyword: 'type', count: 20 },
    { event: 'Order', field: '/properties/lines/*/sku', count: 10 },
    { event: 'Sign "Up"\n', keyword: 'required', count: 1 },
  ])
  t.ok(Date.parse(data[0].lastSeen) >= startedAt)
  t.match(await read(beta), { data: [{ event: 'Theirs', count: 1 }], other: 0, nextCursor: null })
  const page = await read(alpha, '?limit=2')
  t.equal(page.data.length, 2)
  t.match(await read(alpha, `?limit=2&cursor=${page.nextCursor}`), {
    data: [{ keyword: 'required' }],
    nextCursor: null,
  })
  t.equal((await read(alpha, '?event=Order')).data.length, 2)

  await t.test('older days are added up as far as they are asked for', async (t) => {
    const DAY_MS = 86_400_000
    first.count(beta, 'Old', [violation('/properties/a')], Date.now() - 3 * DAY_MS)
    await eventually('the old count', async () => (await read(beta, '?days=4')).data.length === 2)
    t.equal((await read(beta, '?days=3')).data.length, 1)
  })

  await t.test('a project cannot fill the memory with names', async (t) => {
    for (let index = 0; index < 3000; index++) first.count(alpha, `Made up ${index}`, [violation('/event', 'planned')])
    const { other } = await eventually('the rest', async () => {
      const answer = await read(alpha)
      return answer.other > 0 && answer
    })
    t.equal(other, 3000 - (1000 - 3))
    first.count(alpha, 'Order', [violation('/properties/total')])
    await eventually('a known one', async () => (await read(alpha)).data[0]?.count === 21)
    t.match(await read(beta, '?event=Theirs'), { data: [{ count: 1 }], other: 0 })
  })

  await t.test('what is pending is written down when a process stops', async (t) => {
    const last = await buildApp(config, false)
    const trackingPlans = openTrackingPlans(last)
    await last.ready()
    trackingPlans.count(beta, 'Last', [violation('/properties/a')])
    await last.close()
    t.match((await read(beta, '?event=Last')).data, [{ count: 1 }])
  })
})
