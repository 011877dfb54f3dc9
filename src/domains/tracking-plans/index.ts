import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { trackingPlanRoutes } from './routes.ts'
import { createTrackingPlansService, TRACKING_PLAN_CHANGED, type TrackingPlansService } from './service.ts'

export type { CheckedEvent, Violation } from './check.ts'
export type { Mode, Plan, Unplanned } from './plan.ts'
export type { TrackingPlansService }

/** What the door checks events with: the plans as this process knows them, kept up to date by facts. */
export function openTrackingPlans(
  app: Pick<FastifyInstance, 'postgres' | 'clickhouse' | 'redis' | 'log' | 'facts' | 'addHook'>,
): TrackingPlansService {
  const trackingPlans = createTrackingPlansService(app)
  app.facts.on(TRACKING_PLAN_CHANGED, ({ organizationId, payload }) =>
    trackingPlans.expire({ organizationId, projectId: String(payload.projectId) }),
  )
  app.addHook('preClose', () => trackingPlans.stop())
  return trackingPlans
}

const trackingPlansPlugin: FastifyPluginAsync<{ trackingPlans: TrackingPlansService }> = async (app, options) => {
  await app.register(trackingPlanRoutes, options)
}
export default trackingPlansPlugin
