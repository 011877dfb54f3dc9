import type { FastifyPluginAsync } from 'fastify'
import { sweepOrganizations } from './sweep/service.ts'

const SWEEP_INTERVAL_MS = 60_000

/** Deletes what is over: organizations after their grace, and invitations that nobody took. */
export const organizationJobs: FastifyPluginAsync<{ eraseEvents: (organizationId: string) => Promise<void> }> = async (
  app,
  { eraseEvents },
) => {
  let running: Promise<unknown> = Promise.resolve()
  const sweep = () => sweepOrganizations({ postgres: app.postgres, eraseEvents })
  const timer = setInterval(() => {
    running = running
      .then(sweep)
      .catch((error) => app.log.error({ err: error }, 'organizations whose time is over were not deleted'))
  }, SWEEP_INTERVAL_MS)
  app.addHook('preClose', async () => {
    clearInterval(timer)
    await running
  })
}
