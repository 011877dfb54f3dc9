// The token is taken out of the address at once, so that it stays in no history.
const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? undefined
history.replaceState(null, '', location.pathname)

const DONE = {
  'verify-email': 'The account is there. You can sign in now.',
  'reset-password': 'The new password is set, and you are signed out everywhere. You can sign in with it now.',
  'confirm-email-change': 'The new address is set. Sign in with it from now on.',
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
  const body = { ...Object.fromEntries(new FormData(form)), ...(action === 'forgot-password' ? {} : { token }) }
  const failure = await send(body)
  outcome.textContent = failure ?? DONE[action]
  form.hidden = failure === undefined
  button.disabled = false
})

/** Undefined when it is done, else what to tell the person. */
async function send(body) {
  const headers = { 'content-type': 'application/json' }
  const request = fetch(`/v1/auth/${action}`, { method: 'POST', headers, body: JSON.stringify(body) })
  const answer = await request.catch(() => undefined)
  if (!answer) return 'The server does not answer. Try again in a moment.'
  if (answer.ok) return undefined
  const problem = await answer.json()
  if (problem.code === 'identity.link_not_valid' || !token)
    return 'This link was used or is too old. Ask for a new one.'
  return problem.detail
}
