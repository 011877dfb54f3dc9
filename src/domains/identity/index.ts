import cookies from '@fastify/cookie'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { Config } from '../../config.ts'
import type { Principal } from '../../http/access.ts'
import { requireSameOrigin } from '../../http/same-origin.ts'
import type { OrganizationsService } from '../organizations/index.ts'
import { accountRoutes } from './accounts/routes.ts'
import { createAccountsService } from './accounts/service.ts'
import { createAttempts } from './attempts.ts'
import { createCsrf } from './csrf.ts'
import { deletionRoutes } from './deletion/routes.ts'
import { createDeletionService } from './deletion/service.ts'
import { emailChangeRoutes } from './email-change/routes.ts'
import { createEmailChangeService } from './email-change/service.ts'
import { SESSIONS_ENDED } from './fact-kinds.ts'
import { createMailLimit } from './mail-limit.ts'
import { createAsk } from './mail-proofs/service.ts'
import { createMailTokens } from './mail-token.ts'
import { createOperatorsService } from './operators/service.ts'
import { accountPages } from './pages/routes.ts'
import { createPasswordCheck } from './password-check/service.ts'
import { createPasswords } from './passwords.ts'
import { createFlowCookie } from './providers/flow-cookie.ts'
import { createFlows } from './providers/flows.ts'
import { createLinkingService } from './providers/linking/service.ts'
import { providerRoutes } from './providers/routes.ts'
import { createProvidersService } from './providers/service.ts'
import { identityRoutes } from './routes.ts'
import { createChallenges } from './second-factor/challenges.ts'
import { secondFactorRoutes } from './second-factor/routes.ts'
import { createSecrets } from './second-factor/secrets.ts'
import { createSecondFactorService } from './second-factor/service.ts'
import { createIdentityService } from './service.ts'
import { createSessionCookie } from './session-cookie.ts'
import { sessionRoutes } from './sessions/routes.ts'
import { createSessionsService } from './sessions/service.ts'
import { createSignInLog } from './sign-in-log.ts'
import { createTokens } from './tokens.ts'

export { NOTICE, SESSIONS_ENDED } from './fact-kinds.ts'
export { identityJobs } from './jobs.ts'
export { render as renderMail } from './mails/templates.ts'
export { createOperatorsService } from './operators/service.ts'
export { hashPassword } from './passwords.ts'
export { createEnrolledCheck } from './second-factor/enrolled/service.ts'

export type Identity = ReturnType<typeof openIdentity>

/** Accounts and sessions as this process knows them, kept up to date by facts. */
export function openIdentity(
  app: Pick<FastifyInstance, 'postgres' | 'redis' | 'jwt' | 'facts' | 'log'>,
  { organizations, config }: { organizations: OrganizationsService; config: Config },
) {
  const { postgres } = app
  const secrets = [config.http.jwtSecret, ...config.http.jwtPreviousSecrets] as const
  const tokens = createTokens(app.jwt, secrets)
  const signInLog = createSignInLog(organizations)
  const sessions = createSessionsService({ postgres, tokens, csrf: createCsrf(config.http.jwtSecret), signInLog })
  const [passwords, attempts] = [createPasswords(), createAttempts(app.redis)]
  const checkPassword = createPasswordCheck({ postgres, passwords, attempts })
  const secondFactor = createSecondFactorService({
    postgres,
    attempts,
    checkPassword,
    signInLog,
    endWatching: organizations.endWatching,
    secrets: createSecrets(secrets),
    challenges: createChallenges(app.redis),
    start: sessions.start,
  })
  const mailTokens = createMailTokens(secrets)
  const ask = createAsk({ postgres, mailTokens, assertMayMail: createMailLimit(app.redis) })
  const dependencies = { postgres, organizations, sessions, passwords, attempts, checkPassword, signInLog, ask }
  app.facts.on(SESSIONS_ENDED, ({ payload }) => sessions.forget(payload.sessionIds as string[]))
  return {
    sessions,
    accounts: createAccountsService(dependencies),
    identity: createIdentityService({
      ...dependencies,
      secondFactor,
      onUntold: (error) => app.log.warn({ err: error }, 'a failed sign-in was not written down'),
    }),
    secondFactor,
    emailChange: createEmailChangeService(dependencies),
    deleteAccount: createDeletionService(dependencies),
    providers: createProvidersService({
      postgres,
      flows: createFlows(app.redis),
      accountOf: createLinkingService(signInLog).accountOf,
      signInLog,
      completeSignIn: secondFactor.completeSignIn,
      providers: config.signInProviders,
      publicUrl: config.http.publicUrl,
    }),
    issueViewer: tokens.issueViewer,
    mailTokens,
    isOperator: createOperatorsService(app).isOperator,

    /** Resolves an access token; throws 401 for one that is not good, and for one whose session is over. */
    async authenticate(token: string): Promise<Principal> {
      const principal = tokens.verify(token)
      if (principal.kind === 'session') await sessions.assertLives(principal)
      return principal
    },
  }
}

/** Sign-in, sessions and what people do with their own account. */
const identityPlugin: FastifyPluginAsync<{ config: Config; identity: Identity }> = async (app, options) => {
  const { http, mode } = options.config
  const shared = {
    cookie: createSessionCookie({ secure: mode === 'production' }),
    requireSameOrigin: requireSameOrigin(http.publicUrl),
  }
  await app.register(cookies)
  await app.register(identityRoutes, { ...shared, identity: options.identity.identity })
  await app.register(secondFactorRoutes, { ...shared, secondFactor: options.identity.secondFactor })
  await app.register(accountPages)
  await app.register(accountRoutes, { accounts: options.identity.accounts })
  await app.register(emailChangeRoutes, { emailChange: options.identity.emailChange })
  await app.register(deletionRoutes, { ...shared, deleteAccount: options.identity.deleteAccount })
  await app.register(providerRoutes, {
    cookie: shared.cookie,
    flowCookie: createFlowCookie({ secure: mode === 'production' }),
    providers: options.identity.providers,
  })
  await app.register(sessionRoutes, {
    ...shared,
    sessions: options.identity.sessions,
    refreshesPerMinute: http.requestsPerMinute,
  })
}
export default identityPlugin
