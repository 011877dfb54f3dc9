import { createSign, generateKeyPairSync } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import Provider, { type Context } from 'oidc-provider'
import type { Test } from 'tap'

/** The server's own origin in these tests: requests are injected, so nobody listens there. */
export const PUBLIC_URL = 'http://localhost:3000'
export const CLIENT = { clientId: 'meterhouse', clientSecret: 'the secret of the client at the provider' }
const KEY_ID = 'key-of-the-test'

export interface ProviderAccount {
  email?: string
  email_verified?: boolean
  name?: string
}

type Claims = Record<string, unknown>

/** A real OpenID provider on a port of its own, whose people a test writes down and whose id tokens it may change. */
export async function startSignInProvider(t: Test, ids: string[]) {
  const accounts = new Map<string, ProviderAccount>()
  const forging: { change?: (claims: Claims) => Claims; spoil?: boolean } = {}
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const sign = (claims: Claims): string => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const text = `${part({ alg: 'RS256', kid: KEY_ID })}.${part(claims)}`
    return `${text}.${createSign('RSA-SHA256').update(text).sign(privateKey, 'base64url')}`
  }
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise((resolve) => server.close(resolve).closeAllConnections()))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: CLIENT.clientId,
        client_secret: CLIENT.clientSecret,
        token_endpoint_auth_method: 'client_secret_post',
        redirect_uris: ids.map((id) => `${PUBLIC_URL}/v1/auth/providers/${id}/callback`),
      },
    ],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: KEY_ID, alg: 'RS256', use: 'sig' }] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    cookies: { keys: ['a key for the cookies of the provider'] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: () => '/who' },
    findAccount: (_context: unknown, accountId: string) => ({
      accountId,
      claims: () => ({ sub: accountId, ...accounts.get(accountId) }),
    }),
    // Everybody agrees to everything.
    loadExistingGrant: async ({ oidc }: Context) => {
      const grant = new provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId })
      grant.addOIDCScope('openid email profile')
      await grant.save()
      return grant
    },
  })
  const handle = provider.callback()
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (request.url === '/who') {
      const accountId = String(request.headers['x-person'])
      const result = accountId === 'declines' ? { error: 'access_denied' } : { login: { accountId } }
      provider.interactionFinished(request, response, result).catch((error) => response.destroy(error))
      return
    }
    if (request.url === '/token') forgeInto(response, forging, sign)
    handle(request, response)
  })
  return { issuer, accounts, forging }
}

/** Changes the id token in an answer of the token endpoint as a test wants it: signed anew, or spoilt. */
function forgeInto(
  response: ServerResponse,
  { change, spoil }: { change?: (claims: Claims) => Claims; spoil?: boolean },
  sign: (claims: Claims) => string,
): void {
  if (!change && !spoil) return
  const end = response.end.bind(response) as (body: string) => ServerResponse
  response.end = ((body: string | Buffer) => {
    const answer = JSON.parse(String(body))
    const [head, payload, signature] = answer.id_token.split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
    if (change) answer.id_token = sign(change(claims))
    else {
      const other = Buffer.from(JSON.stringify({ ...claims, email_verified: true })).toString('base64url')
      answer.id_token = [head, other, signature].join('.')
    }
    const text = JSON.stringify(answer)
    response.setHeader('content-length', Buffer.byteLength(text))
    return end(text)
  }) as typeof response.end
}

/** A person's browser at the provider: follows its redirects with its cookies, until it is sent back to the server. */
export async function visitProvider(location: string, person: string): Promise<URL> {
  const jar = new Map<string, string>()
  for (let url = new URL(location), hops = 0; hops < 10; hops++) {
    if (url.origin === PUBLIC_URL) return url
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await fetch(url, { redirect: 'manual', headers: { cookie, 'x-person': person } })
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      jar.set(name, value)
    }
    const next = answer.headers.get('location')
    if (!next) throw new Error(`the provider answers ${answer.status}: ${await answer.text()}`)
    url = new URL(next, url)
  }
  throw new Error('the provider sends its people around in circles')
}
