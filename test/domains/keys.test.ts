import t from 'tap'
import { generateKey, isWellFormedKey } from '../../src/domains/projects/keys.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { sessionOf } from '../helpers/principals.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

t.test('a key is well-formed, and one wrong character anywhere makes it not', (t) => {
  for (const kind of ['write', 'api'] as const) {
    const key = generateKey(kind)
    t.ok(isWellFormedKey(key))
    for (let index = 0; index < key.length; index++) {
      const other = key[index] === 'x' ? 'y' : 'x'
      t.notOk(isWellFormedKey(key.slice(0, index) + other + key.slice(index + 1)), `position ${index}`)
    }
  }
  t.end()
})

t.test('keys of a project', async (t) => {
  const { app } = await startTestApp(t)
  const [alpha, beta] = await createTwoTenants(app)
  const url = `/v1/projects/${alpha.projectId}/api-keys`
  const make = (credential: string, payload: Record<string, unknown>) =>
    app.inject(authorized(credential, { method: 'POST', url, payload }))

  await t.test('a key gives another only what it has itself, and a person what their role may give', async (t) => {
    t.equal((await make(alpha.apiKey, { name: 'less', kind: 'api', scopes: ['query:read'] })).statusCode, 201)
    const refused = await make(alpha.apiKey, { name: 'more', kind: 'api', scopes: ['query:read', 'events:write'] })
    t.equal(refused.statusCode, 403)
    t.match(refused.json().detail, /events:write/)
    t.equal((await make(alpha.apiKey, { name: 'writer', kind: 'write' })).statusCode, 403)
    t.equal((await make(sessionOf(app, alpha.userId), { name: 'writer', kind: 'write' })).statusCode, 201)
  })

  await t.test('a key is shown once, listed without its secret, and read by page', async (t) => {
    const created = (await make(alpha.apiKey, { name: 'paged', kind: 'api', scopes: ['query:read'] })).json()
    t.ok(isWellFormedKey(created.key))
    const seen: { id: string; hint: string }[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const query: Record<string, string> = { limit: '2', ...(cursor ? { cursor } : {}) }
      const answer = await app.inject(authorized(alpha.apiKey, { method: 'GET', url, query }))
      t.notMatch(answer.body, created.key)
      seen.push(...answer.json().data)
      cursor = answer.json().nextCursor
    }
    t.ok(seen.length >= 4)
    t.equal(new Set(seen.map((key) => key.id)).size, seen.length)
    t.match(created.key, seen.find((key) => key.id === created.id)?.hint)
    t.notOk(seen.some((key) => key.id === beta.apiKeyId || key.id === beta.writeKeyId))
  })

  await t.test('a key that cannot be is refused by the field that is wrong', async (t) => {
    for (const [payload, path] of [
      [{ name: 'x', kind: 'api' }, '/scopes'],
      [{ name: 'x', kind: 'api', scopes: ['everything'] }, '/scopes/0'],
      [{ name: '', kind: 'write' }, '/name'],
      [{ name: 'x', kind: 'write', expiresAt: '2020-01-01T00:00:00Z' }, '/expiresAt'],
      [{ name: 'x', kind: 'write', role: 'owner' }, '/role'],
    ] as const) {
      const answer = await make(sessionOf(app, alpha.userId), payload)
      t.equal(answer.statusCode, 400, answer.body)
      t.ok(
        answer.json().errors.some((error: { path: string }) => error.path === path),
        path,
      )
    }
  })
})
