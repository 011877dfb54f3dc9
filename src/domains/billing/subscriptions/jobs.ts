import type { FastifyPluginAsync } from 'fastify'
import { inRounds } from '../../../infra/rounds.ts'
import { inTurn } from '../../../infra/turns.ts'
import type { SubscriptionsService } from './service.ts'

const INTERVAL_MS = 3000
/** Longer than a round takes; one that takes longer is joined by another process, which is harmless. */
const TURN_MS = 60_000

/** Ends periods whose time is over, and opens those that follow. */
export const subscriptionJobs: FastifyPluginAsync<{ subscriptions: SubscriptionsService }> = async (
  app,
  { subscriptions },
) => {
  const advance = async () => {
    const { errors } = await subscriptions.advance()
    for (const err of errors) app.log.error({ err }, 'the periods of an organization were not rolled')
  }
  inRounds(app, {
    intervalMs: INTERVAL_MS,
    work: () => inTurn(app.redis, 'billing periods', TURN_MS, advance),
    failure: 'billing periods were not rolled and will be tried again',
  })
}
