import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

interface GitHubUser {
  id: number
  login: string
  name: string | null
  emails: { email: string; primary: boolean; verified: boolean }[]
}

const CODE = 'the-code-of-the-double'
const TOKEN = 'the-token-of-the-double'

/** Answers as GitHub's four endpoints do, for one user at a time; it redeems a code only with the verifier of its challenge. */
export async function startGitHubDouble(t: Test) {
  const state: { user?: GitHubUser; challenge?: string | null } = {}
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://double')
    const json = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body))
    if (url.pathname === '/authorize') {
      state.challenge = url.searchParams.get('code_challenge')
      const back = new URL(url.searchParams.get('redirect_uri') ?? '')
      back.searchParams.set('code', CODE)
      back.searchParams.set('state', url.searchParams.get('state') ?? '')
      return response.writeHead(302, { location: back.href }).end()
    }
    if (url.pathname === '/token') {
      let text = ''
      for await (const part of request) text += part
      const body = new URLSearchParams(text)
      const challenge = createHash('sha256')
        .update(body.get('code_verifier') ?? '')
        .digest('base64url')
      // GitHub says no with 200.
      if (body.get('code') !== CODE || challenge !== state.challenge)
        return json(200, { error: 'bad_verification_code' })
      return json(200, { access_token: TOKEN, token_type: 'bearer', scope: 'read:user,user:email' })
    }
    if (request.headers.authorization !== `Bearer ${TOKEN}` || !state.user)
      return json(401, { message: 'Bad credentials' })
    const { emails, ...user } = state.user
    return url.pathname === '/user' ? json(200, user) : json(200, emails)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise((resolve) => server.close(resolve).closeAllConnections()))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const endpoints = {
    authorization: `${origin}/authorize`,
    token: `${origin}/token`,
    user: `${origin}/user`,
    emails: `${origin}/user/emails`,
  }
  return { state, endpoints }
}
