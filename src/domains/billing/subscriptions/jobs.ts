import type { FastifyPluginAsync } from 'fastify'
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
  let running: Promise<unknown> = Promise.resolve()
  let isRunning = false
  const timer = setInterval(() => {
    if (isRunning) return
    isRunning = true
    running = inTurn(app.redis, 'billing periods', TURN_MS, advance)
      .catch((error) => app.log.error({ err: error }, 'billing periods were not rolled and will be tried again'))
      .finally(() => {
        isRunning = false
      })
  }, INTERVAL_MS)
  app.addHook('preClose', async () => {
    clearInterval(timer)
    await running
  })
}
