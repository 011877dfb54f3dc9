import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { Config } from '../../../config.ts'
import { createQuotas, type KnownQuotas, type QuotaPolicy, type ReplayDoor } from '../../events/index.ts'
import { createHeldRelease, organizationsHeld } from '../../quarantine/index.ts'
import { QUOTA_POLICY_CHANGED } from '../fact-kinds.ts'
import { createQuotaJobs } from './jobs.ts'
import { createRecount } from './recount.ts'
import { createQuotaService, type QuotaService } from './service.ts'
import { organizationExists } from './store.ts'
import { createTransitions } from './transitions.ts'

interface QuotaOptions {
  config: Config
  known: KnownQuotas
  policyOf: (organizationId: string) => Promise<QuotaPolicy>
}

/** The quotas as this process brings them to the door: whenever a fact says that one has changed, or the door misses one. */
export function openQuotas(app: FastifyInstance, { config, known, policyOf }: QuotaOptions): QuotaService {
  const { ingestRedis: redis, clickhouse, postgres, metrics, log } = app
  const { shards } = config.ingest
  const stopping = new AbortController()
  const quotas = createQuotas({ redis, shards })
  const recount = createRecount({ quotas, redis, shards, clickhouse, signal: stopping.signal })
  /** Events may still come of an organization that has just been deleted. */
  const whileThere = async (organizationId: string) => {
    const isThere = await postgres.withTenant(organizationId, (tx) => organizationExists(tx, organizationId))
    return isThere ? policyOf(organizationId) : null
  }
  const service = createQuotaService({ quotas, policyOf: whileThere, recount, known, metrics, log })
  app.facts.on(QUOTA_POLICY_CHANGED, ({ organizationId }) => service.applyLater(organizationId))
  app.addHook('preClose', async () => {
    stopping.abort()
    await service.stop()
  })
  return service
}

interface QuotaJobsOptions {
  config: Config
  service: QuotaService
  /** Takes in what was held, without holding it against a tracking plan again. */
  door: ReplayDoor
}

/** What keeps quotas right in the background, tells of their changes and takes in what they held. */
export const quotaJobs: FastifyPluginAsync<QuotaJobsOptions> = async (app, { config, service, door }) => {
  const { ingestRedis: redis, clickhouse, postgres, log } = app
  const { shards } = config.ingest
  const jobs = createQuotaJobs({
    quotas: createQuotas({ redis, shards }),
    service,
    settle: createTransitions({ postgres, clock: () => new Date() }),
    release: createHeldRelease({ clickhouse, door }),
    organizationsHeld: () => organizationsHeld(clickhouse),
    postgres,
    redis,
    shards,
    log,
  })
  app.addHook('onReady', async () => jobs.start())
  app.addHook('preClose', () => jobs.stop())
}
