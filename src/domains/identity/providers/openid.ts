import { LRUCache } from 'lru-cache'
import * as client from 'openid-client'
import type { SignInProvider } from '../../../config.ts'
import { exchange } from './exchange.ts'
import { type ProviderProtocol, readPerson } from './provided-person.ts'

const METADATA_TTL_MS = 3_600_000
export const TIMEOUT_SECONDS = 10

/**
 * OpenID Connect. State, nonce, issuer, audience, expiry and the signature of the id token are checked; the last although the token
 * comes straight from the provider, so that a mistake on the way does not become somebody else's account.
 */
export function createOpenIdProvider(settings: SignInProvider, redirectUri: string): ProviderProtocol {
  const metadata = new LRUCache<'metadata', client.Configuration>({
    max: 1,
    ttl: METADATA_TTL_MS,
    fetchMethod: () => discover(settings),
  })
  const configured = () => metadata.forceFetch('metadata')

  return {
    authorizationUrl: ({ state, nonce, verifier }) =>
      exchange(async () =>
        client.buildAuthorizationUrl(await configured(), {
          redirect_uri: redirectUri,
          scope: settings.scopes.join(' '),
          state,
          nonce,
          code_challenge: await client.calculatePKCECodeChallenge(verifier),
          code_challenge_method: 'S256',
        }),
      ),

    personOf: (cameBackTo, { state, nonce, verifier }) =>
      exchange(async () => {
        const configuration = await configured()
        const checks = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier }
        const tokens = await client.authorizationCodeGrant(configuration, cameBackTo, checks)
        const claims = tokens.claims()
        const subject = claims?.sub ?? ''
        const asks = claims?.email === undefined && configuration.serverMetadata().userinfo_endpoint !== undefined
        const said = asks ? await client.fetchUserInfo(configuration, tokens.access_token, subject) : claims
        return readPerson({ subject, email: said?.email, emailVerified: said?.email_verified, name: said?.name })
      }),
  }
}

function discover({ issuer, clientId, clientSecret }: SignInProvider): Promise<client.Configuration> {
  return client.discovery(new URL(issuer), clientId, undefined, authentication(clientSecret), {
    timeout: TIMEOUT_SECONDS,
    execute: [client.enableNonRepudiationChecks, ...insecureOn(issuer)],
  })
}

/** In the body where the provider says that it reads it there, else in the header, which is what it has to read when it says nothing. */
function authentication(clientSecret: string): client.ClientAuth {
  const [post, basic] = [client.ClientSecretPost(clientSecret), client.ClientSecretBasic(clientSecret)]
  return (server, ...rest) =>
    (server.token_endpoint_auth_methods_supported?.includes('client_secret_post') ? post : basic)(server, ...rest)
}

/** Plain HTTP is for a provider on this very machine, as the configuration has checked. */
export const insecureOn = (url: string) => (url.startsWith('http:') ? [client.allowInsecureRequests] : [])
