import * as client from 'openid-client'
import type { SignInProvider } from '../../../config.ts'
import { providerFailed } from '../errors.ts'
import { exchange } from './exchange.ts'
import { insecureOn, TIMEOUT_SECONDS } from './openid.ts'
import { type ProviderProtocol, readPerson } from './provided-person.ts'

type GitHub = Extract<SignInProvider, { protocol: 'github' }>

/** OAuth 2 without id tokens: who came is asked of GitHub's API, and the address that counts is the primary one if it is confirmed. */
export function createGitHubProvider(settings: GitHub, redirectUri: string): ProviderProtocol {
  const { endpoints, scopes } = settings
  const configuration = configure(settings)

  async function ask(accessToken: string, url: string): Promise<unknown> {
    const headers = new Headers({ accept: 'application/vnd.github+json', 'user-agent': 'meterhouse' })
    const answer = await client.fetchProtectedResource(
      configuration,
      accessToken,
      new URL(url),
      'GET',
      undefined,
      headers,
    )
    if (answer.ok) return answer.json()
    await answer.body?.cancel()
    throw providerFailed('It does not say who you are. Sign in again.', {
      cause: new Error(`GET answered ${answer.status}`),
    })
  }

  return {
    authorizationUrl: ({ state, verifier }) =>
      exchange(async () =>
        client.buildAuthorizationUrl(configuration, {
          redirect_uri: redirectUri,
          scope: scopes.join(' '),
          state,
          code_challenge: await client.calculatePKCECodeChallenge(verifier),
          code_challenge_method: 'S256',
        }),
      ),

    personOf: (cameBackTo, { state, verifier }) =>
      exchange(async () => {
        const checks = { expectedState: state, pkceCodeVerifier: verifier }
        const { access_token } = await client.authorizationCodeGrant(configuration, cameBackTo, checks)
        const user = (await ask(access_token, endpoints.user)) as {
          id?: unknown
          login?: unknown
          name?: unknown
        } | null
        const primary = primaryOf(await ask(access_token, endpoints.emails))
        // The number stays with the account; the login name can be given up and taken by somebody else.
        const subject = Number.isSafeInteger(user?.id) ? String(user?.id) : undefined
        const [email, emailVerified] = [primary?.email, primary?.verified]
        return readPerson({ subject, email, emailVerified, name: user?.name ?? user?.login })
      }),
  }
}

interface Address {
  email?: unknown
  primary?: unknown
  verified?: unknown
}

const primaryOf = (addresses: unknown): Address | undefined =>
  Array.isArray(addresses) ? addresses.find((address: Address | null) => address?.primary === true) : undefined

function configure({ issuer, clientId, clientSecret, endpoints }: GitHub): client.Configuration {
  const server = { issuer, authorization_endpoint: endpoints.authorization, token_endpoint: endpoints.token }
  const configuration = new client.Configuration(server, clientId, undefined, client.ClientSecretPost(clientSecret))
  configuration.timeout = TIMEOUT_SECONDS
  for (const allow of insecureOn(endpoints.token)) allow(configuration)
  return configuration
}
