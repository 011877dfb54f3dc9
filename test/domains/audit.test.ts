import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { sql } from 'drizzle-orm'
import pg from 'pg'
import t from 'tap'
import { storable } from '../../src/domains/audit/details.ts'
import { createAuditService, record } from '../../src/domains/audit/index.ts'
import { newId } from '../../src/ids.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { makeMember, sessionOf } from '../helpers/principals.ts'
import { keptApart, quarantine } from '../helpers/quarantine.ts'
import { createTenant, createTwoTenants, type TestTenant } from '../helpers/tenants.ts'

const { app, config, environment, postgresAdminUrl } = await startTestApp(t)
const audit = createAuditService(app)

const urlOf = ({ projectId }: TestTenant, path = '') => `/v1/projects/${projectId}${path}`
const as = (tenant: TestTenant) => sessionOf(app, tenant.userId)
const log = async (tenant: TestTenant, query: Record<string, string> = {}) => {
  const answer = await app.inject(authorized(as(tenant), { url: urlOf(tenant, '/audit-log'), query }))
  if (answer.statusCode !== 200) throw new Error(answer.body)
  return answer.json()
}
const actions = async (tenant: TestTenant, query = {}) =>
  (await log(tenant, query)).data.map((entry: { action: string }) => entry.action)
const rename = (tenant: TestTenant, name: string) =>
  app.inject(authorized(as(tenant), { method: 'PATCH', url: urlOf(tenant), payload: { name } }))
const acting = ({ userId }: TestTenant) => ({
  principal: { kind: 'session', userId, sessionId: 'ses', expiresAtMs: 0 } as const,
  ip: '192.0.2.1',
  userAgent: undefined,
})

t.test('what was done is there with who did it, from where, before and after, and without a secret', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const headers = { 'user-agent': `Browser/1 ${'x'.repeat(500)}` }
  const made = await app.inject(
    authorized(as(alpha), {
      method: 'POST',
      url: urlOf(alpha, '/api-keys'),
      headers,
      remoteAddress: '192.0.2.7',
      payload: { name: 'reports', kind: 'api', scopes: ['query:read'] },
    }),
  )
  t.equal(made.statusCode, 201, made.body)
  const { id, key, hint } = made.json()
  await app.inject(authorized(alpha.apiKey, { method: 'DELETE', url: urlOf(alpha, `/api-keys/${id}`) }))
  await rename(alpha, '=Renamed')
  await rename(alpha, '=Renamed')
  const plan = { method: 'PATCH', url: urlOf(alpha, '/tracking-plan'), payload: { mode: 'warn' } } as const
  t.equal((await app.inject(authorized(as(alpha), plan))).statusCode, 200)
  const page = await log(alpha)
  const target = { kind: 'api_key', id }
  const limits = { allowedIps: [], requestsPerMinute: null }
  const facts = { name: 'reports', kind: 'api', hint, scopes: ['query:read'], expiresAt: null, ...limits }
  t.match(page.data, [
    { action: 'tracking_plan.published', before: { mode: 'observe' }, after: { mode: 'warn', version: 1 } },
    { action: 'project.changed', before: { name: 'Test' }, after: { name: '=Renamed' } },
    { action: 'api_key.revoked', target, actor: { kind: 'key', id: alpha.apiKeyId, name: 'api' }, after: null },
    {
      action: 'api_key.made',
      target,
      projectId: alpha.projectId,
      actor: { kind: 'user', id: alpha.userId, name: 'Test' },
      ip: '192.0.2.7',
      userAgent: /^Browser\/1 x{390}$/,
      before: null,
    },
  ])
  t.equal(page.data.length, 4, 'a change that changes nothing is none')
  t.same(page.data[2].before, facts)
  t.same(page.data[3].after, facts)
  t.notMatch(JSON.stringify(page), key.slice(hint.length), 'the key is in none of it')
  t.same((await log(beta)).data, [], 'and the other organization sees nothing')
  t.match(await audit.verify(alpha.organizationId), { entries: 4, broken: null })
})

t.test('a replay and a discard of events are written down, a dry run and one of nothing are not', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const kept = ['q-1', 'q-2'].map((id) => keptApart({ event: 'Order', messageId: id, properties: { card: 'canary' } }))
  await quarantine(app, config, alpha, kept)
  await quarantine(app, config, beta, kept)
  const ask = async (path: string, payload: object) => {
    const url = urlOf(alpha, `/quarantine/${path}`)
    const answer = await app.inject(authorized(as(alpha), { method: 'POST', url, payload }))
    t.equal(answer.statusCode, 200, answer.body)
  }
  await ask('replay', { filter: {}, dryRun: true })
  await ask('discard', { messageIds: ['q-1'] })
  await ask('discard', { messageIds: ['q-1'] })
  await ask('replay', { filter: { reason: 'plan.violation' } })
  const { data } = await log(alpha)
  t.match(data, [
    {
      action: 'quarantine.replayed',
      after: { events: 1, filter: { reason: 'plan.violation' }, firstMessageId: 'q-2' },
    },
    { action: 'quarantine.discarded', after: { events: 1, firstMessageId: 'q-1', lastMessageId: 'q-1' } },
  ])
  t.equal(data.length, 2)
  t.notMatch(JSON.stringify(data), 'canary')
  t.same(await actions(beta), [])
})

t.test(
  'fifty acts at once make one unbroken chain of those that were done, in each of two organizations',
  async (t) => {
    const tenants = await createTwoTenants(app)
    // Keys, since changes of one project would wait for each other by its row alone.
    const make = async (tenant: TestTenant, index: number) => {
      const payload = { name: `Key ${index}`, kind: 'api', scopes: ['query:read'] }
      const request = { method: 'POST', url: urlOf(tenant, '/api-keys'), payload } as const
      const { statusCode } = await app.inject(authorized(as(tenant), request))
      // A machine that is busy beside lets some wait too long for a connection: they are not done, and told to come again.
      if (statusCode !== 201 && statusCode !== 503) throw new Error(`answered ${statusCode}`)
      return { name: payload.name, isDone: statusCode === 201 }
    }
    const fifty = Array.from({ length: 50 }, (_, index) => index)
    const acts = await Promise.all(tenants.map((tenant) => Promise.all(fifty.map((index) => make(tenant, index)))))
    for (const [index, tenant] of tenants.entries()) {
      const done = acts[index]?.flatMap(({ name, isDone }) => (isDone ? [name] : [])) ?? []
      t.ok(done.length > 1)
      const { length } = done
      t.match(await audit.verify(tenant.organizationId), { entries: length, head: { sequence: length }, broken: null })
      const { data } = await log(tenant)
      const names = data.map((entry: { after: { name: string } }) => entry.after.name)
      t.same(names.toSorted(), done.toSorted(), 'one for each act')
      const times = data.map((entry: { at: string }) => entry.at)
      t.same(times, times.toSorted().toReversed(), 'in the order of time')
    }
  },
)

t.test('who makes, renames or sets up a project is written down, with what it was and what it is', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const url = `/v1/organizations/${alpha.organizationId}/projects`
  const payload = { name: 'Shop', retentionDays: 30 }
  const made = await app.inject(authorized(as(alpha), { method: 'POST', url, payload }))
  t.equal(made.statusCode, 201, made.body)
  const shop = { ...alpha, projectId: made.json().id }
  await rename(shop, 'Store')
  const change = { method: 'PATCH', url: urlOf(shop), payload: { retentionDays: 60, ipPolicy: 'drop' } } as const
  t.equal((await app.inject(authorized(as(alpha), change))).statusCode, 200)
  const target = { kind: 'project', id: shop.projectId }
  const settings = { name: 'Shop', timeZone: 'UTC', allowedOrigins: [], ipPolicy: 'truncate', retentionDays: 30 }
  const by = { kind: 'user', id: alpha.userId }
  const { data: entries } = await log(shop)
  const common = { actor: by, projectId: shop.projectId, target }
  t.equal(entries.length, 3)
  t.match(entries, [
    {
      ...common,
      action: 'project.changed',
      before: { retentionDays: 30, ipPolicy: 'truncate' },
      after: { retentionDays: 60, ipPolicy: 'drop' },
    },
    { ...common, action: 'project.changed', before: { name: 'Shop' }, after: { name: 'Store' } },
    { ...common, action: 'project.made', before: null, after: settings },
  ])
  t.same(await actions(beta), [])
  t.equal((await app.inject(authorized(as(beta), { method: 'POST', url, payload }))).statusCode, 404)
  t.equal((await actions(shop)).length, 3, 'what is refused is not written down')
})

t.test('an act that fails leaves no entry, and one that cannot be written down is not done', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const { organizationId, projectId } = alpha
  const act = { organizationId, projectId, action: 'project.changed', target: { kind: 'project', id: projectId } }
  const failing = app.postgres.withTenant(organizationId, async (tx) => {
    await record(tx, { ...act, by: acting(alpha) })
    throw new Error('afterwards')
  })
  await t.rejects(failing, { message: 'afterwards' })
  t.same(await actions(alpha), [])
  await asOwner(`alter table audit_entries add constraint full_log check (organization_id <> '${organizationId}')`)
  t.equal((await rename(alpha, 'Unwritten')).statusCode, 500)
  await asOwner('alter table audit_entries drop constraint full_log')
  const project = await app.inject(authorized(as(alpha), { url: urlOf(alpha) }))
  t.equal(project.json().name, 'Test')
})

t.test('neither role of the server can change, delete or empty the log', async (t) => {
  const [alpha] = await createTwoTenants(app)
  await rename(alpha, 'Once')
  for (const statement of [
    `update audit_entries set action = 'nothing.happened'`,
    'delete from audit_entries',
    'truncate audit_entries',
  ]) {
    const denied = { cause: { code: '42501' } }
    const run = sql.raw(statement)
    await t.rejects(
      app.postgres.withTenant(alpha.organizationId, (tx) => tx.execute(run)),
      denied,
      statement,
    )
    await t.rejects(
      app.postgres.withSystem((tx) => tx.execute(run)),
      denied,
      statement,
    )
  }
})

t.test(
  'an entry that was altered, taken out, put in or moved is named, by the service and by the command',
  async (t) => {
    const mine = `organization_id = '$'`
    const alterations: Record<string, [statement: string, sequence: number]> = {
      'an action': [`update audit_entries set action = 'project.read' where ${mine} and sequence = 2`, 2],
      'a detail': [`update audit_entries set after = '{"name": "Other"}' where ${mine} and sequence = 3`, 3],
      'a time': [`update audit_entries set at = at + interval '1 ms' where ${mine} and sequence = 1`, 1],
      'an actor': [`update audit_entries set actor_name = null where ${mine} and sequence = 2`, 2],
      'a hash': [`update audit_entries set hash = previous_hash where ${mine} and sequence = 2`, 2],
      'a loss': [`delete from audit_entries where ${mine} and sequence = 2`, 3],
      'a loss that was covered up': [
        `delete from audit_entries where ${mine} and sequence = 1; update audit_entries set sequence = sequence - 1 where ${mine}`,
        1,
      ],
    }
    for (const [what, [statement, sequence]] of Object.entries(alterations)) {
      const [alpha, beta] = await createTwoTenants(app)
      for (const tenant of [alpha, beta]) for (const name of ['One', 'Two', 'Three']) await rename(tenant, name)
      await asOwner(statement.replaceAll('$', alpha.organizationId))
      t.match((await audit.verify(alpha.organizationId)).broken, { sequence, id: /^aud_/, reason: /./ }, what)
      t.match(await audit.verify(beta.organizationId), { entries: 3, broken: null })
      if (what !== 'an action') continue
      t.match(await command(alpha), { code: 1, stderr: /Entry 2 \(aud_\w+\) breaks the chain/ })
      t.match(await command(beta), { code: 0, stdout: /3 entries are whole, the last with the hash [0-9a-f]{64}/ })
    }
  },
)

t.test('filters hold, pages are whole, and a filter that means nothing is refused by name', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  for (const name of ['A', 'B', 'C', 'D', 'E']) await rename(alpha, name)
  await app.inject(authorized(alpha.apiKey, { method: 'PATCH', url: urlOf(alpha), payload: { ipPolicy: 'drop' } }))
  await rename(beta, 'Theirs')
  const seen: number[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const page: { data: { sequence: number }[]; nextCursor: string | null } = await log(alpha, {
      limit: '4',
      ...(cursor && { cursor }),
    })
    seen.push(...page.data.map((entry) => entry.sequence))
    cursor = page.nextCursor
  }
  t.same(seen, [6, 5, 4, 3, 2, 1])
  t.equal((await actions(alpha, { actor: alpha.apiKeyId })).length, 1)
  t.equal((await actions(alpha, { actor: beta.userId })).length, 0)
  t.equal((await actions(alpha, { action: 'project.changed' })).length, 6)
  t.equal((await actions(alpha, { action: 'api_key.made' })).length, 0)
  const { data } = await log(alpha)
  const at = (sequence: number) => Date.parse(data[6 - sequence].at)
  t.same(
    (await log(alpha, { from: String(at(3)), to: new Date(at(6)).toISOString() })).data.length,
    data.filter((entry: { at: string }) => Date.parse(entry.at) >= at(3) && Date.parse(entry.at) < at(6)).length,
  )
  t.same((await log(alpha, { to: '2026-01-01' })).data, [])
  const faulty: [query: Record<string, string>, path: string][] = [
    [{ from: '2026-02-30' }, '/querystring/from'],
    [{ from: '2026-02-02', to: '2026-02-01' }, '/querystring/to'],
    [{ cursor: 'x' }, '/querystring/cursor'],
    [{ actor: 'me' }, '/querystring/actor'],
    [{ action: 'Everything' }, '/querystring/action'],
    [{ color: 'red' }, '/querystring'],
  ]
  for (const [query, path] of faulty) {
    const answer = await app.inject(authorized(as(alpha), { url: urlOf(alpha, '/audit-log'), query }))
    t.equal(answer.statusCode, 400, answer.body)
    t.ok(answer.json().errors[0].path.startsWith(path), answer.body)
  }
})

t.test('the log of a project shows what concerns it, and not another project of the organization', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const { organizationId } = alpha
  const act = { organizationId, by: acting(alpha), action: 'member.invited', target: { kind: 'user', id: 'x' } }
  await app.postgres.withTenant(organizationId, (tx) => record(tx, { ...act, projectId: newId('prj') }))
  await app.postgres.withSystem((tx) => record(tx, act))
  await rename(alpha, 'Mine')
  t.same(await actions(alpha), ['project.changed'])
  const whole = await audit.list({ organizationId }, { limit: 50 })
  t.equal(whole.data.length, 3, 'the organization has them all, in one chain')
  t.match(await audit.verify(organizationId), { entries: 3, broken: null })
})

t.test('the export is RFC 4180, runs no formula, holds more than one page, and is an entry itself', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const { organizationId, projectId } = alpha
  await rename(beta, 'Theirs')
  const names = ['=1+1', '+1', '-1', '@x', '\tx', '\rx', 'a "b", c\r\nd', 'größer 🙂']
  for (const [index, name] of names.entries()) {
    const by = { ...acting(alpha), userAgent: name }
    const target = { kind: 'project', id: String(index) }
    await app.postgres.withTenant(organizationId, (tx) =>
      record(tx, { organizationId, projectId, by, action: 'project.changed', target, after: { name } }),
    )
  }
  const url = urlOf(alpha, '/audit-log/export')
  const answer = await app.inject(authorized(as(alpha), { url }))
  t.equal(answer.statusCode, 200, answer.body)
  t.match(answer.headers['content-type'], /^text\/csv; charset=utf-8/)
  t.match(answer.headers['content-disposition'], /^attachment; filename="audit-log\.csv"$/)
  const [header = [], ...rows] = parseCsv(answer.body)
  t.same(
    rows.map((row) => row[header.indexOf('user_agent')]),
    ['lightMyRequest', ...["'=1+1", "'+1", "'-1", "'@x", "'\tx", "'\rx", ...names.slice(6)].toReversed()],
  )
  t.same(
    rows.map((row) => row[header.indexOf('action')]),
    ['audit_log.exported', ...names.map(() => 'project.changed')],
  )
  t.same(JSON.parse(rows[2]?.[header.indexOf('after')] ?? ''), { name: names[6] })
  t.ok(rows.every((row) => row.length === header.length))
  t.notMatch(answer.body, 'Theirs')
  await asOwner(`insert into audit_entries select organization_id, sequence + n * 1000, id || n, at, project_id, actor_kind,
    actor_id, actor_name, action, target_kind, target_id, ip, user_agent, before, after, previous_hash, hash
    from audit_entries, generate_series(1, 300) n where organization_id = '${organizationId}'`)
  const many = parseCsv((await app.inject(authorized(as(alpha), { url }))).body)
  t.equal(new Set(many.map(([sequence]) => sequence)).size, 1 + 9 * 301 + 1)
})

t.test('nobody reads the log by a key that they may not make', async (t) => {
  const alpha = await createTenant(app.postgres)
  const make = async (role: 'developer' | 'admin', scopes: string[]) => {
    const payload = { name: 'spy', kind: 'api', scopes }
    const credential = await makeMember(app, alpha, role)
    return app.inject(authorized(credential, { method: 'POST', url: urlOf(alpha, '/api-keys'), payload }))
  }
  const refused = await make('developer', ['query:read', 'audit:read'])
  t.equal(refused.statusCode, 403)
  t.match(refused.json().detail, 'audit:read')
  t.equal((await make('developer', ['query:read', 'events:write'])).statusCode, 201)
  t.equal((await make('admin', ['audit:read'])).statusCode, 201)
})

/** As somebody who has the database in his hands, and no policy or grant to stop him. */
async function asOwner(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: postgresAdminUrl })
  await client.connect()
  await client.query(statement).finally(() => client.end())
}

async function command({ organizationId }: TestTenant) {
  const parameters = ['scripts/verify-audit.ts', '--', '--organization', organizationId]
  return promisify(execFile)(process.execPath, parameters, { env: { ...process.env, ...environment } }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  )
}

/** As RFC 4180 has it, and nothing beyond. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    row.push(quoted?.replaceAll('""', '"') ?? plain ?? '')
    if (end === ',') continue
    rows.push(row)
    row = []
  }
  return rows
}

t.test('what is written down comes back as it was hashed, whatever characters it has', async (t) => {
  t.same(storable({ name: 'half \ud800, none \0', password: 'x', keyHash: 'x', absent: undefined }), {
    name: 'half \ufffd, none \ufffd',
  })
})
