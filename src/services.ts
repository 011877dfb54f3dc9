import type { FastifyInstance } from 'fastify'
import type { Config } from './config.ts'
import {
  createCatalogService,
  createLimitsService,
  createMetersService,
  createMeterWindows,
  createProofSigner,
  createProofsService,
  createSubscriptionsService,
  openAlerts,
  openInvoices,
  openQuotas,
} from './domains/billing/index.ts'
import { createProgress, type KnownQuotas, openEnricher } from './domains/events/index.ts'
import { createEnrolledCheck } from './domains/identity/index.ts'
import { createOrganizationsService } from './domains/organizations/index.ts'
import { createProjectsService, keptFromMs, openKeyUses } from './domains/projects/index.ts'
import { createUsageDays, createUsageHours } from './domains/usage/index.ts'

export type Services = ReturnType<typeof openServices>

/** What several roles of a process or several domains share. Each domain gets here what it needs of the others. */
export function openServices(app: FastifyInstance, config: Config, known: KnownQuotas) {
  const catalog = createCatalogService(app)
  const enricher = openEnricher(app, { warms: config.roles.includes('api') })
  const subscriptions = createSubscriptionsService({ postgres: app.postgres, catalog, ...config.billing })
  const limits = createLimitsService({ planOf: async (id) => (await subscriptions.current(id)).plan })
  const meters = createMetersService(app)
  const completeThrough = createProgress({ redis: app.ingestRedis, shards: config.ingest.shards })
  const invoices = openInvoices({
    postgres: app.postgres,
    meters,
    plans: catalog,
    keptFromMs,
    storedThrough: (organizationId) => completeThrough({ organizationId }),
    clock: () => new Date(),
    ...config.invoices,
  })
  const proofs = createProofsService({
    postgres: app.postgres,
    meters,
    signer: createProofSigner({
      ...config.proofs,
      secret: config.http.jwtSecret,
      previousSecrets: config.http.jwtPreviousSecrets,
    }),
    storedThrough: (organizationId) => completeThrough({ organizationId }),
  })
  const organizationsService = createOrganizationsService({
    postgres: app.postgres,
    hasSecondFactor: createEnrolledCheck(app),
    beginBilling: subscriptions.begin,
  })
  const projectsService = createProjectsService({
    postgres: app.postgres,
    organizations: organizationsService,
    retentionOf: limits.retentionOf,
    noteUse: openKeyUses(app).note,
  })
  const quotas = openQuotas(app, { config, known, policyOf: subscriptions.quotaPolicyOf })
  const usageDays = createUsageDays(app)
  const windows = createMeterWindows({ postgres: app.postgres, clickhouse: app.clickhouse, usageDays, keptFromMs })
  const alerts = openAlerts({
    postgres: app.postgres,
    redis: app.ingestRedis,
    shards: config.ingest.shards,
    subscriptions,
    meters,
    invoices,
    eventHours: createUsageHours(app),
    windows: windows.list,
    clock: () => new Date(),
  })
  return {
    catalog,
    limits,
    subscriptions,
    meters,
    windows,
    invoices,
    alerts,
    proofs,
    quotas,
    completeThrough,
    enricher,
    organizationsService,
    projectsService,
  }
}
