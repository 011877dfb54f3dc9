import type { SignInProvider } from '../../../config.ts'
import { append, NO_ORGANIZATION } from '../../../infra/outbox.ts'
import type { Postgres, SystemTx } from '../../../infra/postgres.ts'
import type { Device } from '../device.ts'
import { flowNotValid, identityNotFound, lastWayIn, providerNotFound } from '../errors.ts'
import { IDENTITY_UNLINKED } from '../fact-kinds.ts'
import { NO_PASSWORD } from '../passwords.ts'
import type { LinkedIdentity } from '../schemas.ts'
import type { CompleteSignIn, SignIn } from '../sign-in.ts'
import type { SignInLog } from '../sign-in-log.ts'
import type { Flows } from './flows.ts'
import { createGitHubProvider } from './github.ts'
import { createOpenIdProvider } from './openid.ts'
import type { ProvidedPerson, ProviderProtocol } from './provided-person.ts'
import * as store from './store.ts'

export type ProvidersService = ReturnType<typeof createProvidersService>

interface Dependencies {
  postgres: Postgres
  flows: Flows
  accountOf: (tx: SystemTx, providerId: string, person: ProvidedPerson, device: Device) => Promise<string>
  signInLog: SignInLog
  completeSignIn: CompleteSignIn
  providers: readonly SignInProvider[]
  publicUrl: string
}

/** Signing in at somebody else's: out to the provider, back with its answer, and to the account that it stands for. */
export function createProvidersService(dependencies: Dependencies) {
  const { postgres, flows, accountOf, signInLog, completeSignIn, providers, publicUrl } = dependencies
  const redirectUriOf = (providerId: string) => new URL(`/v1/auth/providers/${providerId}/callback`, publicUrl).href
  const protocols = new Map(providers.map((provider) => [provider.id, open(provider, redirectUriOf(provider.id))]))
  const nameOf = (providerId: string) => providers.find(({ id }) => id === providerId)?.name

  function protocolOf(providerId: string): ProviderProtocol {
    const protocol = protocols.get(providerId)
    if (!protocol) throw providerNotFound('There is no such provider.')
    return protocol
  }

  return {
    list: () => providers.map(({ id, name }) => ({ id, name })),

    /** Where to send the person, and the token that binds the flow to their browser. */
    async start(providerId: string, returnTo: string): Promise<{ location: string; token: string }> {
      const protocol = protocolOf(providerId)
      const { token, secrets } = await flows.begin({ providerId, returnTo })
      return { token, location: (await protocol.authorizationUrl(secrets)).href }
    },

    /** Hears the provider's answer, once, and begins a session, or asks for the second factor. The answer is the query of the URL that the person came back to. */
    async finish(
      providerId: string,
      answer: { token: string | undefined; state: string; query: string },
      device: Device,
    ): Promise<{ signIn: SignIn; location: string }> {
      const protocol = protocolOf(providerId)
      const { secrets, returnTo } = await flows.take(answer.token, providerId, answer.state)
      const cameBackTo = new URL(`?${answer.query}`, redirectUriOf(providerId))
      const person = await protocol.personOf(cameBackTo, secrets)
      const userId = await postgres.withSystem((tx) => accountOf(tx, providerId, person, device))
      const signIn = await completeSignIn(userId, device, async (tx) => {
        // Whoever unlinks it meanwhile has closed this way in.
        await store.holdPasswordHash(tx, userId)
        const identity = await store.findIdentity(tx, providerId, person.subject)
        if (identity?.userId !== userId) throw flowNotValid('The link to your account was just removed.')
      })
      // Absolute, so that no path can be read as another host.
      return { signIn, location: new URL(returnTo, publicUrl).href }
    },

    async identitiesOf(userId: string): Promise<LinkedIdentity[]> {
      const rows = await postgres.withSystem((tx) => store.listIdentities(tx, userId))
      return rows.map(({ id, providerId, email, createdAt }) => {
        const provider = { id: providerId, name: nameOf(providerId) ?? null }
        return { id, provider, email, createdAt: createdAt.toISOString() }
      })
    },

    /** Takes one way into an account away, unless it is the last: one at a provider that is no longer there does not count. */
    async unlink(userId: string, identityId: string, device: Device): Promise<void> {
      await postgres.withSystem(async (tx) => {
        const passwordHash = await store.holdPasswordHash(tx, userId)
        const identities = await store.listIdentities(tx, userId)
        const identity = identities.find(({ id }) => id === identityId)
        if (!identity) throw identityNotFound('You have no such identity.')
        const others = identities.filter(({ id, providerId }) => id !== identityId && protocols.has(providerId))
        if (passwordHash === NO_PASSWORD && others.length === 0) {
          throw lastWayIn('Set a password first: ask for a link with “forgot password”.')
        }
        await store.deleteIdentity(tx, identityId)
        const { providerId } = identity
        const payload = { userId, providerId }
        await append(tx, { organizationId: NO_ORGANIZATION, kind: IDENTITY_UNLINKED, payload })
        await signInLog(tx, userId, device, { action: 'identity.unlinked', identityId, before: { providerId } })
      })
    },
  }
}

const open = (provider: SignInProvider, redirectUri: string): ProviderProtocol =>
  provider.protocol === 'github'
    ? createGitHubProvider(provider, redirectUri)
    : createOpenIdProvider(provider, redirectUri)
