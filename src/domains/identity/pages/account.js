// The token is taken out of the address at once, so that it stays in no history.
const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? undefined
history.replaceState(null, '', location.pathname)

const DONE = {
  'verify-email': 'The account is there. You can sign in now.',
  'reset-password': 'The new password is set, and you are signed out everywhere. You can sign in with it now.',
  'confirm-email-change': 'The new address is set. Sign in with it from now on.',
  'accept-invitation': 'You have joined.',
  'forgot-password': 'If the address has an account, a link is on its way to it. It works for 30 minutes.',
}

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
  const { failure } = await send(`/v1/auth/${action}`, {
    ...fields,
    ...(action === 'forgot-password' ? {} : { token }),
  })
  return failure
}

/** Joins with the session of this browser, or with the one that the person signs in to. */
async function join(fields) {
  const session = fields.email ? await send('/v1/auth/login', fields) : await send('/v1/auth/refresh')
  if (session.answer?.accessToken) {
    const { failure } = await send('/v1/invitations/accept', { token }, session.answer.accessToken)
    return failure
  }
  if (fields.email) return session.failure ?? 'Sign in in another tab, and then open the link in the mail again.'
  const signIn = document.getElementById('sign-in')
  signIn.hidden = signIn.disabled = false
  return 'Sign in to join.'
}

/** The answer when the server did it, else what to tell the person. */
async function send(url, body, accessToken) {
  const headers = {
    ...(body && { 'content-type': 'application/json' }),
    ...(accessToken && { authorization: `Bearer ${accessToken}` }),
  }
  const request = fetch(url, { method: 'POST', headers, ...(body && { body: JSON.stringify(body) }) })
  const answer = await request.catch(() => undefined)
  if (!answer) return { failure: 'The server does not answer. Try again in a moment.' }
  if (answer.ok) return { answer: answer.status === 204 ? undefined : await answer.json() }
  const problem = await answer.json()
  if (problem.code === 'identity.link_not_valid' || (!token && action !== 'forgot-password'))
    return { failure: 'This link was used or is too old. Ask for a new one.' }
  return { failure: problem.detail }
}
