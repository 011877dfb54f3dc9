// What is secret is taken out of the address at once, so that it stays in no history.
const given = new URLSearchParams(location.hash.slice(1))
const token = given.get('token') ?? undefined
/** The sign-in that waits for a code, if one does. */
let challenge = given.get('challenge') ?? undefined
history.replaceState(null, '', location.pathname)

const DONE = {
  'verify-email': 'The account is there. You can sign in now.',
  'reset-password': 'The new password is set, and you are signed out everywhere. You can sign in with it now.',
  'confirm-email-change': 'The new address is set. Sign in with it from now on.',
  'accept-invitation': 'You have joined.',
  'second-factor': 'You are signed in. You can close this page.',
  'forgot-password': 'If the address has an account, a link is on its way to it. It works for 30 minutes.',
}

/** The pages that a mailed link leads to, and that do nothing without its token. */
const WITH_TOKEN = new Set(['verify-email', 'reset-password', 'confirm-email-change', 'accept-invitation'])

const action = location.pathname.split('/').at(-1)
const form = document.getElementById(action)
const outcome = document.getElementById('outcome')
form.hidden = false
form.addEventListener('submit', async (event) => {
  event.preventDefault()
  outcome.textContent = ''
  const button = form.querySelector('button')
  button.disabled = true
  const fields = Object.fromEntries(new FormData(form))
  const failure = await perform(fields)
  outcome.textContent = failure ?? DONE[action]
  form.hidden = failure === undefined
  button.disabled = false
})

/** Does what the page is for; undefined when it is done, else what to tell the person. */
async function perform(fields) {
  if (action === 'accept-invitation') return join(fields)
  if (action === 'second-factor') return finishSignIn(fields)
  const { failure } = await send(`/v1/auth/${action}`, {
    ...fields,
    ...(action === 'forgot-password' ? {} : { token }),
  })
  return failure
}

/** Answers the challenge with what was typed: six digits are a code, anything else is a recovery code. */
async function answerChallenge({ code }) {
  const typed = code.replaceAll(' ', '')
  const proof = /^\d{6}$/.test(typed) ? { code: typed } : { recoveryCode: typed }
  const session = await send('/v1/auth/second-factor', { challenge, ...proof })
  if (session.code === 'identity.challenge_over') challenge = undefined
  return session
}

/** The end of a sign-in that began elsewhere: on to the page that it began for, if that is one of this server. */
async function finishSignIn(fields) {
  if (!challenge) return 'This sign-in is over. Begin anew.'
  const { failure } = await answerChallenge(fields)
  if (failure) return failure
  const returnTo = URL.parse(given.get('returnTo') ?? '', location.origin)
  if (returnTo?.origin === location.origin) location.assign(returnTo)
}

/** Shows a part of a form that was not needed until now, or hides it again. */
function show(id, isShown) {
  const part = document.getElementById(id)
  part.hidden = part.disabled = !isShown
}

function sessionFor(fields) {
  if (challenge) return answerChallenge(fields)
  return fields.email ? send('/v1/auth/login', fields) : send('/v1/auth/refresh')
}

/** Joins with the session of this browser, or with the one that the person signs in to. */
async function join(fields) {
  const session = await sessionFor(fields)
  challenge = session.answer?.challenge ?? challenge
  show('sign-in-code', challenge !== undefined)
  if (session.answer?.accessToken) {
    const { failure } = await send('/v1/invitations/accept', { token }, session.answer.accessToken)
    return failure
  }
  show('sign-in', challenge === undefined)
  if (challenge) return session.failure ?? 'Now the code.'
  return session.failure && (fields.email || fields.code) ? session.failure : 'Sign in to join.'
}

/** The answer when the server did it, else what to tell the person. */
async function send(url, body, accessToken) {
  const headers = {
    ...(body && { 'content-type': 'application/json' }),
    ...(accessToken && { authorization: `Bearer ${accessToken}` }),
    ...(url === '/v1/auth/refresh' && { 'x-csrf-token': /meterhouse_csrf=([\w-]+)/.exec(document.cookie)?.[1] ?? '' }),
  }
  const request = fetch(url, { method: 'POST', headers, ...(body && { body: JSON.stringify(body) }) })
  const answer = await request.catch(() => undefined)
  if (!answer) return { failure: 'The server does not answer. Try again in a moment.' }
  if (answer.ok) return { answer: answer.status === 204 ? undefined : await answer.json() }
  const problem = await answer.json()
  if (problem.code === 'identity.link_not_valid' || (!token && WITH_TOKEN.has(action)))
    return { failure: 'This link was used or is too old. Ask for a new one.' }
  const fault = problem.code === 'identity.wrong_code' ? 'The code is wrong, too old or was used before.' : undefined
  return { failure: fault ?? problem.detail, code: problem.code }
}
