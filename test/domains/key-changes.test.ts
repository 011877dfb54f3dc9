import { sql } from 'drizzle-orm'
import t from 'tap'
import { compileAllowedIps, normalizeIp } from '../../src/domains/projects/allowed-ips.ts'
import type { KeyScope } from '../../src/http/access.ts'
import { newId } from '../../src/ids.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { makeApiKey, makeMember, sessionOf } from '../helpers/principals.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const DAY_MS = 86_400_000

t.test('an address or a network is kept in one form, and what is none is refused', (t) => {
  const KEPT = {
    '203.0.113.7': '203.0.113.7',
    '10.0.0.0/8': '10.0.0.0/8',
    '0.0.0.0/0': '0.0.0.0/0',
    '2001:DB8:0::1': '2001:db8::1',
    '2001:db8::/48': '2001:db8::/48',
    '::1': '::1',
  }
  for (const [text, ip] of Object.entries(KEPT)) t.same(normalizeIp(text), { ip }, text)
  const NONE = ['', '*', 'localhost', '10.0.0', '010.0.0.1', '10.0.0.1:80', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/08']
  const NEITHER = ['10.0.0.0/8/8', '::/129', '::1/-1', '[::1]', 'fe80::1%eth0', '::ffff:10.0.0.1', '::ffff:a00:1/104']
  for (const text of [...NONE, ...NEITHER]) t.match(normalizeIp(text), { fault: String }, text)
  t.end()
})

t.test('addresses are inside of the list or not, however they are written', (t) => {
  const isAllowed = compileAllowedIps(['203.0.113.7', '10.1.0.0/16', '2001:db8:1::/48', '::1'])
  for (const ip of ['203.0.113.7', '::ffff:203.0.113.7', '10.1.255.255', '2001:db8:1:ffff::9', '::1'])
    t.ok(isAllowed(ip), ip)
  for (const ip of ['203.0.113.8', '10.2.0.0', '::ffff:10.2.0.1', '2001:db8:2::1', '::2', 'unknown', ''])
    t.notOk(isAllowed(ip), ip)
  t.ok(compileAllowedIps([])('unknown'), 'an empty list allows all')
  t.end()
})

const { app } = await startTestApp(t)
const [alpha, beta] = await createTwoTenants(app)
const owner = sessionOf(app, alpha.userId)
const keysUrl = `/v1/projects/${alpha.projectId}/api-keys`
const change = (keyId: string, payload: Record<string, unknown>, credential = owner) =>
  app.inject(authorized(credential, { method: 'PATCH', url: `${keysUrl}/${keyId}`, payload }))
const rotate = (keyId: string, overlapSeconds: unknown, credential = owner) =>
  app.inject(authorized(credential, { method: 'POST', url: `${keysUrl}/${keyId}/rotate`, payload: { overlapSeconds } }))
const read = (key: string, remoteAddress = '127.0.0.1') =>
  app.inject(authorized(key, { url: `/v1/projects/${alpha.projectId}/schema/events`, remoteAddress }))
const listed = async (id: string) =>
  (await app.inject(authorized(owner, { url: keysUrl, query: { limit: '200' } })))
    .json()
    .data.find((key: { id: string }) => key.id === id)
const auditOf = async (id: string) =>
  (await app.inject(authorized(owner, { url: `/v1/projects/${alpha.projectId}/audit-log`, query: { limit: '200' } })))
    .json()
    .data.filter(({ target }: { target: { id: string } }) => target.id === id)

t.test('a key is changed field by field, and the audit log says what', async (t) => {
  const { id } = await makeApiKey(app, alpha, ['query:read'])
  const changed = await change(id, { name: 'renamed', allowedIps: ['10.0.0.0/8', '2001:DB8::1', '10.0.0.0/8'] })
  t.equal(changed.statusCode, 200, changed.body)
  const known = { name: 'renamed', allowedIps: ['10.0.0.0/8', '2001:db8::1'], requestsPerMinute: null, expiresAt: null }
  t.match(changed.json(), { id, scopes: ['query:read'], ...known })
  const expiresAt = new Date(Date.now() + DAY_MS).toISOString()
  t.match((await change(id, { requestsPerMinute: 5, expiresAt })).json(), { ...known, requestsPerMinute: 5, expiresAt })
  t.match((await change(id, { requestsPerMinute: null, expiresAt: null, allowedIps: [] })).json(), {
    requestsPerMinute: null,
    expiresAt: null,
    allowedIps: [],
  })
  t.notOk('key' in (await listed(id)), 'it is not shown again')
  const entries = await auditOf(id)
  t.equal(entries.length, 3)
  t.match(entries[1], {
    action: 'api_key.changed',
    before: { requestsPerMinute: null, expiresAt: null },
    after: { requestsPerMinute: 5, expiresAt },
  })
})

t.test('what cannot be is refused by the field that is wrong, and nothing of it is done', async (t) => {
  const { id } = await makeApiKey(app, alpha, ['query:read'])
  for (const [payload, path] of [
    [{ name: 'x', allowedIps: ['10.0.0.1', '10.0.0.0/99'] }, '/allowedIps/1'],
    [{ name: 'x', requestsPerMinute: 0 }, '/requestsPerMinute'],
    [{ name: 'x', requestsPerMinute: '5' }, '/requestsPerMinute'],
    [{ name: 'x', expiresAt: '2020-01-01T00:00:00Z' }, '/expiresAt'],
    [{ name: 'x', scopes: ['keys:write'] }, '/scopes'],
    [{}, ''],
  ] as const) {
    const answer = await change(id, payload)
    t.equal(answer.statusCode, 400, answer.body)
    const paths = answer.json().errors.map((error: { path: string }) => error.path)
    t.ok(paths.includes(path), `${path} in ${paths}`)
  }
  for (const overlapSeconds of [-1, 1.5, 30 * 24 * 3600 + 1, null, '60'])
    t.equal((await rotate(id, overlapSeconds)).statusCode, 400)
  t.equal((await listed(id)).name, 'access')
  t.same(await auditOf(id), [])
})

t.test('a key acts only from the addresses that it names, for reads and for events', async (t) => {
  const { id, key } = await makeApiKey(app, alpha, ['query:read'])
  const write = authorized(alpha.writeKey, { method: 'POST', url: '/v1/events', payload: { event: 'Placed' } })
  await change(id, { allowedIps: ['203.0.113.0/24', '2001:db8::/32'] })
  await change(alpha.writeKeyId, { allowedIps: ['203.0.113.0/24'] })
  for (const ip of ['203.0.113.9', '::ffff:203.0.113.9', '2001:db8::5']) t.equal((await read(key, ip)).statusCode, 200)
  for (const ip of ['127.0.0.1', '198.51.100.1', '2001:db9::5']) {
    const answer = await read(key, ip)
    t.match([answer.statusCode, answer.json().code], [403, 'key.ip_not_allowed'])
  }
  t.equal((await app.inject({ ...write, remoteAddress: '203.0.113.1' })).statusCode, 202)
  t.match((await app.inject({ ...write, remoteAddress: '203.0.114.1' })).json(), { code: 'key.ip_not_allowed' })
  t.equal((await app.inject(authorized(beta.apiKey, { url: `/v1/projects/${beta.projectId}` }))).statusCode, 200)
  await change(alpha.writeKeyId, { allowedIps: [] })
  t.equal((await app.inject({ ...write, remoteAddress: '203.0.114.1' })).statusCode, 202, 'and everywhere again')
})

t.test('a key is rotated: the new one does the same, the old one ends after the overlap', async (t) => {
  const { id, key } = await makeApiKey(app, alpha, ['query:read'])
  const limits = { allowedIps: ['127.0.0.0/8'], requestsPerMinute: 500 }
  await change(id, { name: 'report', ...limits, expiresAt: new Date(Date.now() + 40 * DAY_MS).toISOString() })
  const before = await listed(id)
  const rotated = await rotate(id, 3600)
  t.equal(rotated.statusCode, 201, rotated.body)
  const made = rotated.json()
  t.match(made, { name: 'report', kind: 'api', scopes: ['query:read'], ...limits, expiresAt: before.expiresAt })
  t.not(made.id, id)
  for (const one of [key, made.key]) t.equal((await read(one)).statusCode, 200, 'both act during the overlap')
  const remainingMs = Date.parse((await listed(id)).expiresAt) - Date.now()
  t.ok(remainingMs > 3_500_000 && remainingMs <= 3_600_000)
  const again = await rotate(id, 7200)
  t.equal(again.statusCode, 201)
  t.ok(Date.parse((await listed(id)).expiresAt) - Date.now() <= 3_600_000, 'a later rotation prolongs nothing')
  t.match((await auditOf(id))[0], {
    action: 'api_key.rotated',
    after: { successorId: again.json().id, overlapSeconds: 7200 },
  })
  t.match(await auditOf(made.id), [{ action: 'api_key.made', after: { name: 'report' } }])
})

t.test('without an overlap the old key is revoked at once', async (t) => {
  const { id, key } = await makeApiKey(app, alpha, ['query:read'])
  t.equal((await read(key)).statusCode, 200)
  const made = (await rotate(id, 0)).json()
  t.equal((await read(key)).statusCode, 401)
  t.equal((await read(made.key)).statusCode, 200)
  t.equal(await listed(id), undefined)
  for (const gone of [await rotate(id, 0), await change(id, { name: 'x' })]) t.equal(gone.statusCode, 404)
})

t.test('a key that has expired cannot be brought back', async (t) => {
  const { id } = await makeApiKey(app, alpha, ['query:read'])
  await app.postgres.withSystem((tx) =>
    tx.execute(sql`update api_keys set expires_at = now() - interval '1 second' where id = ${id}`),
  )
  for (const answer of [await change(id, { expiresAt: null }), await rotate(id, 60)])
    t.match([answer.statusCode, answer.json().code], [409, 'projects.key_expired'])
})

t.test('nobody changes or replaces a key that may do more than they may', async (t) => {
  const strong = await makeApiKey(app, alpha, ['keys:write', 'audit:read'])
  const weak = (await makeApiKey(app, alpha, ['keys:write', 'keys:read'])).key
  const developer = await makeMember(app, alpha, 'developer')
  for (const who of [weak, developer]) {
    for (const answer of [await change(strong.id, { expiresAt: null }, who), await rotate(strong.id, 0, who)]) {
      t.equal(answer.statusCode, 403, answer.body)
      t.match(answer.json().detail, /audit:read/)
    }
  }
  t.same(await auditOf(strong.id), [])
  const equal = await makeApiKey(app, alpha, ['keys:write', 'audit:read'] as KeyScope[])
  t.equal((await rotate(strong.id, 0, equal.key)).statusCode, 201)
})

t.test("another organization's key is as absent as one that is not there", async (t) => {
  for (const id of [beta.apiKeyId, newId('key')]) {
    for (const answer of [await change(id, { name: 'stolen' }), await rotate(id, 0)]) {
      t.match([answer.statusCode, answer.json().code], [404, 'projects.key_not_found'])
    }
  }
  t.equal((await app.inject(authorized(beta.apiKey, { url: `/v1/projects/${beta.projectId}` }))).statusCode, 200)
})
