import pg from 'pg'
import t from 'tap'
import { generateKey } from '../../src/domains/projects/keys.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

/** Longer than a process keeps what it knows of a key without asking again. */
const AWAY_MS = 5000

t.test(
  'while Postgres is away known keys go on sending, and a key that cannot be looked up is told to come back',
  async (t) => {
    const { app, postgresAdminUrl } = await startTestApp(t)
    const [alpha, beta] = await createTwoTenants(app)
    const send = (key: string) =>
      app.inject(authorized(key, { method: 'POST', url: '/v1/events', payload: { event: 'Outage' } }))
    for (const { writeKey } of [alpha, beta]) t.equal((await send(writeKey)).statusCode, 202)

    const url = new URL(postgresAdminUrl)
    const database = url.pathname.slice(1)
    url.pathname = 'postgres'
    const admin = new pg.Client({ connectionString: url.href })
    await admin.connect()
    t.teardown(() => admin.end())
    await admin.query(`ALTER DATABASE ${database} ALLOW_CONNECTIONS false`)
    await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [database])

    const until = Date.now() + AWAY_MS
    const refused: number[] = []
    await eventually('the outage', async () => {
      for (const { writeKey } of [alpha, beta]) {
        const { statusCode } = await send(writeKey)
        if (statusCode !== 202) refused.push(statusCode)
      }
      return Date.now() > until
    })
    t.same(refused, [])
    t.equal(
      (await send(generateKey('write'))).statusCode,
      503,
      'it may be a good one: 401 would make its client give up',
    )

    await admin.query(`ALTER DATABASE ${database} ALLOW_CONNECTIONS true`)
    await eventually('the return of look-ups', async () => (await send(generateKey('write'))).statusCode === 401)
  },
)
