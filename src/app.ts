import websocket from '@fastify/websocket'
import fastify, { type FastifyInstance, type FastifyServerOptions, LogController } from 'fastify'
import type { Config } from './config.ts'
import admin from './domains/admin/index.ts'
import audit from './domains/audit/index.ts'
import billing, {
  alertJobs,
  createChangesService,
  invoiceJobs,
  meterJobs,
  openCollecting,
  openStripe,
  proofJobs,
  quotaJobs,
  reconciliationJobs,
  stripeFollowing,
  stripeJobs,
  stripeWebhook,
  subscriptionJobs,
} from './domains/billing/index.ts'
import events, {
  createKnownQuotas,
  eraseEvents,
  type Outcomes,
  openOutcomes,
  openPressure,
  openReplayDoor,
  openTail,
  type Pressure,
  receiptsPlugin,
  sinkPlugin,
} from './domains/events/index.ts'
import identity, { identityJobs, openIdentity } from './domains/identity/index.ts'
import insights from './domains/insights/index.ts'
import live from './domains/live/index.ts'
import organizations, {
  createFreezingService,
  FREEZE_CHANGED,
  KEYS_SWITCHED,
  organizationJobs,
} from './domains/organizations/index.ts'
import projects, { KEY_CHANGED, KEY_REVOKED, PROJECT_CHANGED } from './domains/projects/index.ts'
import quarantine from './domains/quarantine/index.ts'
import trackingPlans, { openTrackingPlans } from './domains/tracking-plans/index.ts'
import usage, { usageJobsPlugin } from './domains/usage/index.ts'
import { guardScope } from './http/access.ts'
import { createFailureLimit } from './http/failed-authentications.ts'
import health from './http/health.ts'
import { createKeyLimit } from './http/key-limit.ts'
import openapi from './http/openapi.ts'
import problems from './http/problems.ts'
import requestLog, { childLoggerFactory, requestId } from './http/request-log.ts'
import security from './http/security.ts'
import { buildSerializer } from './http/serialization.ts'
import startPage from './http/start-page.ts'
import storedText from './http/stored-text.ts'
import { validatorCompiler } from './http/validation.ts'
import clickhouse from './infra/clickhouse.ts'
import facts from './infra/facts.ts'
import metrics from './infra/metrics.ts'
import postgres from './infra/postgres.ts'
import redis from './infra/redis.ts'
import siblings from './infra/siblings.ts'
import { openServices, type Services } from './services.ts'

const WEBSOCKET_OPTIONS = {
  maxPayload: 16 * 1024,
  perMessageDeflate: false,
  // Browsers send the credential as a second subprotocol, which must not be echoed.
  handleProtocols: (offered: Set<string>) => (offered.has('meterhouse.v1') ? 'meterhouse.v1' : false),
} as const

/** The table of contents: infra, then http, then the domains of the process's roles. Opens connections, starts nothing else. */
export async function buildApp(config: Config, logger: FastifyServerOptions['logger']): Promise<FastifyInstance> {
  const app = fastify({
    logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: requestId,
    trustProxy: config.http.trustProxy,
    bodyLimit: 1024 * 1024,
    requestTimeout: 60_000,
    // Names of events are parameters too: 200 characters, each of up to nine once it is encoded.
    routerOptions: { maxParamLength: 1800 },
    http: { headersTimeout: 10_000 },
    schemaController: { compilersFactory: { buildSerializer } },
  })
  app.setChildLoggerFactory(childLoggerFactory)
  app.setValidatorCompiler(validatorCompiler)
  // JSON is the only body that routes take, unless one says otherwise.
  app.removeContentTypeParser('text/plain')

  await app.register(metrics)
  await app.register(siblings)
  await app.register(postgres, config.postgres)
  await app.register(clickhouse, config.clickhouse)
  await app.register(redis, config.redis)
  await app.register(facts, { redisUrl: config.redis.url, relays: config.roles.includes('jobs') })

  await app.register(problems)
  await app.register(requestLog)
  await app.register(security, config.http)
  await app.register(websocket, { options: WEBSOCKET_OPTIONS })
  await app.register(openapi, config.http)
  await app.register(storedText)
  const knownQuotas = createKnownQuotas(app)
  const pressure = openPressure(app, config, knownQuotas)
  await app.register(health, {
    metricsToken: config.http.metricsToken,
    checks: {
      postgres: () => app.postgres.ping(),
      clickhouse: () => app.clickhouse.ping(),
      redis: () => app.redis.ping(),
      ingestRedis: () => app.ingestRedis.ping(),
      ...(config.roles.includes('api') ? { ingestion: pressure.assertOpen } : {}),
      ...(app.siblings.assertComplete ? { processes: app.siblings.assertComplete } : {}),
    },
  })

  const outcomes = openOutcomes(app, config)
  const services = openServices(app, config, knownQuotas)
  if (config.roles.includes('sink')) await app.register(sinkPlugin, { config, pressure, outcomes })
  if (config.roles.includes('jobs')) await registerJobs(app, config, services)
  if (config.roles.includes('api')) await registerApi(app, config, pressure, outcomes, services)
  return app
}

/** The loops of the role `jobs`: each takes turns with those of other processes. */
async function registerJobs(app: FastifyInstance, config: Config, services: Services): Promise<void> {
  const { catalog, limits, subscriptions, windows, invoices, alerts, proofs, quotas, enricher, projectsService } =
    services
  await app.register(usageJobsPlugin, {
    config,
    recountMeters: windows.recount,
    onCounted: alerts.touched.mark,
    planKeepsDays: async (id) => (await limits.retentionOf(id)).maxDays,
  })
  await app.register(alertJobs, alerts)
  await app.register(meterJobs, { windows, shards: config.ingest.shards })
  await app.register(identityJobs, { config })
  await app.register(subscriptionJobs, { subscriptions })
  const collect = openCollecting(app, invoices)
  await app.register(invoiceJobs, { config, invoices, onFinalized: config.stripe && collect })
  // Held events were held against the tracking plan when they came.
  const rules = { enricher, planOf: async () => null, ipPolicyOf: projectsService.ipPolicyOf }
  const door = openReplayDoor(app, config, rules)
  await app.register(quotaJobs, { config, service: quotas, door })
  await app.register(proofJobs, { proofs })
  await app.register(reconciliationJobs, { shards: config.ingest.shards, invoices })
  if (config.stripe) {
    await app.register(stripeJobs, { account: config.stripe })
    const { setFromProvider } = createChangesService({ subscriptions, catalog })
    await app.register(stripeFollowing, { config, setFromProvider, collect })
  }
  await app.register(organizationJobs, { eraseEvents: (id) => eraseEvents(app.clickhouse, id) })
}

async function registerApi(
  app: FastifyInstance,
  config: Config,
  pressure: Pressure,
  outcomes: Outcomes,
  services: Services,
): Promise<void> {
  const { catalog, limits, subscriptions, meters, invoices, alerts, proofs, completeThrough, enricher } = services
  const { organizationsService, projectsService } = services
  const stripe = config.stripe && openStripe(app, { account: config.stripe, catalog })
  const people = openIdentity(app, { organizations: organizationsService, config })
  const trackingPlansService = openTrackingPlans(app)
  const planOf = trackingPlansService.planOf
  app.facts.on(KEY_REVOKED, ({ payload }) => projectsService.forgetKey(String(payload.keyId)))
  app.facts.on(KEY_CHANGED, ({ payload }) => projectsService.forgetKey(String(payload.keyId)))
  app.facts.on(KEYS_SWITCHED, ({ organizationId }) => projectsService.forgetOrganization(organizationId))
  app.facts.on(PROJECT_CHANGED, ({ payload }) => projectsService.forgetProject(String(payload.projectId)))
  app.facts.on(FREEZE_CHANGED, ({ organizationId }) => projectsService.forgetOrganization(organizationId))

  const keyed = { authenticate: projectsService.authenticateKey, authorize: projectsService.authorize }
  const keyedOrSignedIn = {
    ...keyed,
    authorizeOrganization: organizationsService.authorize,
    isOperator: people.isOperator,
    authenticate: async (credential: string, ip: string) =>
      credential.startsWith('mh_') ? projectsService.authenticateKey(credential, ip) : people.authenticate(credential),
  }

  const { failedAuthenticationsPerMinute } = config.http
  await app.register(async (scope) => {
    guardScope(scope, {
      ...keyed,
      failures: createFailureLimit(failedAuthenticationsPerMinute),
      keyLimit: createKeyLimit(),
    })
    await scope.register(events, { config, pressure, enricher, outcomes, planOf })
    await scope.register(receiptsPlugin, { config })
  })
  await app.register(async (scope) => {
    guardScope(scope, { ...keyedOrSignedIn, failures: createFailureLimit(failedAuthenticationsPerMinute) })
    await scope.register(identity, { config, identity: people })
    await scope.register(admin, { freezing: createFreezingService(app) })
    await scope.register(audit)
    await scope.register(billing, {
      catalog,
      subscriptions,
      meters,
      invoices,
      proofs,
      completeThrough: (organizationId) => completeThrough({ organizationId }),
      stripe,
      publicUrl: config.http.publicUrl,
      alerts,
    })
    await scope.register(organizations, {
      organizations: organizationsService,
      graceMs: config.organizationGraceMs,
      roomForMember: limits.roomForMember,
      invitationTokenOf: people.mailTokens.tokenOf,
    })
    const { roomForProject, retentionOf } = limits
    await scope.register(projects, { projects: projectsService, roomForProject, retentionOf })
    await scope.register(insights, { completeThrough })
    await scope.register(trackingPlans, { trackingPlans: trackingPlansService })
    await scope.register(usage, { config, completeThrough })
    await scope.register(quarantine, {
      door: openReplayDoor(app, config, { enricher, planOf, ipPolicyOf: projectsService.ipPolicyOf }),
    })
    await scope.register(live, { tail: openTail(app, config) })
  })
  await app.register(stripeWebhook, { intake: stripe?.intake })
  await app.register(startPage, {
    inboxUrl: config.mail.inboxUrl,
    demo: config.mode === 'development' ? config.demoProjectId : undefined,
    issueViewer: people.issueViewer,
  })
}
