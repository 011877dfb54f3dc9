import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { createReading, createWriting, type HistoryService, TRACKING_PLAN_CHANGED } from './history/service.ts'
import { trackingPlanRoutes } from './routes.ts'
import { type CheckingService, createCheckingService } from './service.ts'
import { toolRoutes } from './tools/routes.ts'

export type { CheckedEvent, Violation } from './check.ts'
export type { Mode, Plan, Unplanned } from './plan.ts'
export type TrackingPlansService = HistoryService & CheckingService

type Surroundings = Pick<FastifyInstance, 'postgres' | 'clickhouse' | 'redis' | 'log' | 'facts' | 'addHook'>

/** The plans of all projects as this process knows them, kept up to date by facts. */
export function openTrackingPlans(app: Surroundings): TrackingPlansService {
  const { postgres, clickhouse, redis, log } = app
  const reading = createReading(postgres)
  const checking = createCheckingService({ readPlan: reading.plan, clickhouse, redis, log })
  app.facts.on(TRACKING_PLAN_CHANGED, ({ organizationId, payload }) =>
    checking.expire({ organizationId, projectId: String(payload.projectId) }),
  )
  app.addHook('preClose', () => checking.stop())
  return { ...reading, ...createWriting(postgres, reading, checking.expire), ...checking }
}

const trackingPlansPlugin: FastifyPluginAsync<{ trackingPlans: TrackingPlansService }> = async (app, options) => {
  await app.register(trackingPlanRoutes, options)
  await app.register(toolRoutes, options)
}
export default trackingPlansPlugin
