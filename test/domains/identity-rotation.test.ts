import t from 'tap'
import { buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { createMailTokens } from '../../src/domains/identity/mail-token.ts'
import { hashToken } from '../../src/domains/identity/refresh-token.ts'
import { refresh, signIn, statusOfMe } from '../helpers/accounts.ts'
import { startTestApp } from '../helpers/app.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const OLD = 'the secret of before is long enough to sign'
const NEW = 'the secret of today is long enough to sign'
const { app, environment } = await startTestApp(t, { METERHOUSE_JWT_SECRET: OLD })
const [alpha] = await createTwoTenants(app)

/** The same application with the new secret. */
async function rotated(previous: string) {
  const secrets = { METERHOUSE_JWT_SECRET: NEW, METERHOUSE_JWT_PREVIOUS_SECRETS: previous }
  const next = await buildApp(loadConfig({ ...environment, ...secrets }), false)
  t.teardown(() => next.close())
  await next.ready()
  return next
}

const kidOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid

t.test(
  'a new secret signs nobody out while the one before is listed, and what it signed ends with the list',
  async (t) => {
    const [listed, unlisted] = [await rotated(OLD), await rotated('')]
    const before = await signIn(app, alpha)
    t.match(kidOf(before.accessToken), /^[0-9a-f]{8}$/)
    t.equal(await statusOfMe(listed, before.accessToken), 200)
    t.equal(await statusOfMe(unlisted, before.accessToken), 401)
    const renewed = await refresh(unlisted, before.refreshToken)
    t.equal(renewed.statusCode, 200, 'the session goes on all the same')
    const after = renewed.json().accessToken
    t.not(kidOf(after), kidOf(before.accessToken))
    t.equal(await statusOfMe(listed, after), 200)
    t.equal(await statusOfMe(app, after), 401, 'by a process that does not know the new secret')
  },
)

t.test('a token names the secret that signed it: under the name of another it does not act', async (t) => {
  const next = await rotated(OLD)
  const { accessToken } = await signIn(next, alpha)
  const claims = next.jwt.decode<object>(accessToken) ?? {}
  t.equal(await statusOfMe(next, next.jwt.sign(claims, { key: OLD })), 401)
  t.equal(await statusOfMe(next, next.jwt.sign(claims)), 200)
})

t.test('a link that was asked for before the new secret is mailed with the token that its hash is of', async (t) => {
  const before = createMailTokens([OLD])
  const id = 'prf_1'
  const proof = { id, tokenHash: hashToken(before.tokenOf(id)) }
  t.equal(createMailTokens([NEW, OLD]).tokenOfProof(proof), before.tokenOf(id))
  t.not(createMailTokens([NEW, OLD]).tokenOf(id), before.tokenOf(id))
})
