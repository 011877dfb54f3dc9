import type { FastifyPluginAsync } from 'fastify'
import type { Config } from '../../config.ts'
import type { ProjectScope } from '../../http/access.ts'
import { createIngestion } from './ingestion.ts'
import { createUsageJobs } from './jobs.ts'
import { usageRoutes } from './routes.ts'
import { createUsageService, type UsageDependencies } from './service.ts'

export { createUsageDays, createUsageHours, createWindowsComparison } from './service.ts'

interface UsageOptions {
  config: Config
  completeThrough: (scope: ProjectScope) => Promise<Date>
}

/** What tenants see of the accounts of the pipeline. */
const usagePlugin: FastifyPluginAsync<UsageOptions> = async (app, { config, completeThrough }) => {
  const { ingestRedis: redis, clickhouse } = app
  const ingestion = createIngestion({ redis, shards: config.ingest.shards, clickhouse, completeThrough })
  await app.register(usageRoutes, { ingestion })
}
export default usagePlugin

type UsageJobsOptions = { config: Config } & Pick<UsageDependencies, 'recountMeters' | 'onCounted' | 'planKeepsDays'>

/** What keeps the accounts: the counting of usage windows and their reconciliation. */
export const usageJobsPlugin: FastifyPluginAsync<UsageJobsOptions> = async (app, { config, ...counting }) => {
  const { ingestRedis: redis, clickhouse, postgres, metrics, log } = app
  const { shards } = config.ingest
  const usage = createUsageService({ redis, shards, clickhouse, postgres, metrics, ...counting })
  const jobs = createUsageJobs({ usage, redis, shards, metrics, log })
  app.addHook('onReady', async () => jobs.start())
  app.addHook('preClose', () => jobs.stop())
}
