import { JSDOM, VirtualConsole } from 'jsdom'
import t from 'tap'
import { newAddress, refreshTokenOf } from '../helpers/accounts.ts'
import { eventually, startTestApp } from '../helpers/app.ts'
import { startTestMailbox, tokenIn } from '../helpers/mailbox.ts'
import { sessionOf } from '../helpers/principals.ts'
import { addSecondFactor, challengeOf, codeOf, wrongCodeOf } from '../helpers/second-factor.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const ORIGIN = 'https://meter.example'
const mailbox = await startTestMailbox(t)
const { app } = await startTestApp(t, { METERHOUSE_SMTP_URL: mailbox.url, METERHOUSE_PUBLIC_URL: ORIGIN })
const script = (await app.inject({ url: '/account.js' })).body

/** A page of an account as a browser has it, in jsdom, which runs no modules: its one script is run by hand. */
async function openAccountPage(path: string, remoteAddress: string) {
  const html = (await app.inject({ url: path.replace(/#.*/, '') })).body
  const [refreshTokens, navigations]: [string[], string[]] = [[], []]
  const virtualConsole = new VirtualConsole()
  virtualConsole.on('jsdomError', (error) => navigations.push(String(error)))
  const { window } = new JSDOM(html, { url: `${ORIGIN}${path}`, runScripts: 'outside-only', virtualConsole })
  t.teardown(() => window.close())
  const fetch = async (url: string, { method, headers, body }: { method: 'POST'; headers: object; body?: string }) => {
    const answer = await app.inject({
      method,
      url,
      headers: { ...headers, origin: ORIGIN },
      ...(body && { payload: body }),
      remoteAddress,
    })
    refreshTokens.push(refreshTokenOf(answer))
    return { ok: answer.statusCode < 400, status: answer.statusCode, json: async () => answer.json() }
  }
  Object.assign(window, { fetch })
  window.eval(script)
  const { document } = window
  const form = document.getElementById(path.replace(/#.*/, '').split('/').at(-1) ?? '')
  const outcome = () => document.getElementById('outcome')?.textContent ?? ''
  return {
    window,
    refreshTokens,
    navigations,
    isShown: (id: string) => !document.getElementById(id).disabled,
    /** Fills the form in, sends it and gives what the person is told. */
    async send(fields: Record<string, string>): Promise<string> {
      for (const [name, value] of Object.entries(fields)) {
        const input = [...form.querySelectorAll('input')].find(
          (candidate) => candidate.name === name && !candidate.closest('fieldset')?.disabled,
        )
        if (!input) throw new Error(`the page does not ask for ${name}`)
        input.value = value
      }
      form.dispatchEvent(new window.Event('submit', { cancelable: true }))
      return eventually('an outcome', async () => outcome() || undefined)
    },
  }
}

t.test(
  'the page that a provider leads to takes a code, says when it is wrong, and goes on to this server only',
  async (t) => {
    const [alpha, beta] = await createTwoTenants(app)
    const { secret } = await addSecondFactor(app, alpha)
    const { recoveryCodes } = await addSecondFactor(app, beta)
    const ip = newAddress()
    const open = async (person: typeof alpha, returnTo: string) => {
      const owed = new URLSearchParams({ challenge: await challengeOf(app, person, ip), returnTo })
      return openAccountPage(`/account/second-factor#${owed}`, ip)
    }
    const page = await open(alpha, `${ORIGIN}/docs/`)
    t.equal(page.window.location.href, `${ORIGIN}/account/second-factor`, 'the challenge stays in no history')
    t.match(await page.send({ code: wrongCodeOf(secret) }), 'The code is wrong')
    t.match(await page.send({ code: codeOf(secret) }), 'You are signed in')
    t.match(page.refreshTokens.at(-1), /^[\w-]{43}$/)
    t.match(page.navigations, [/navigation/i])
    const evil = await open(beta, 'https://evil.example/')
    t.match(await evil.send({ code: recoveryCodes[0] ?? '' }), 'You are signed in')
    t.same(evil.navigations, [])
  },
)

t.test('who is invited and signs in on the page is asked for the code of their second factor', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const { secret } = await addSecondFactor(app, alpha)
  await app.inject({
    method: 'POST',
    url: `/v1/organizations/${beta.organizationId}/invitations`,
    headers: { authorization: `Bearer ${sessionOf(app, beta.userId)}` },
    payload: { email: alpha.email, role: 'viewer' },
  })
  const token = tokenIn(await mailbox.next(alpha.email, 1, /invited/))
  const page = await openAccountPage(`/account/accept-invitation#token=${token}`, newAddress())
  t.match(await page.send({}), 'Sign in to join.')
  t.match(await page.send({ email: alpha.email, password: 'not the one' }), 'no account')
  t.match(await page.send({ email: alpha.email, password: alpha.password }), 'Now the code.')
  t.same([page.isShown('sign-in'), page.isShown('sign-in-code')], [false, true])
  t.match(await page.send({ code: wrongCodeOf(secret) }), 'The code is wrong')
  t.match(await page.send({ code: codeOf(secret) }), 'You have joined.')
})
