import type { FastifyPluginAsync } from 'fastify'
import { inRounds } from '../../infra/rounds.ts'
import { sweepOrganizations } from './sweep/service.ts'

const SWEEP_INTERVAL_MS = 60_000

/** Deletes what is over: organizations after their grace, and invitations that nobody took. */
export const organizationJobs: FastifyPluginAsync<{ eraseEvents: (organizationId: string) => Promise<void> }> = async (
  app,
  { eraseEvents },
) => {
  inRounds(app, {
    intervalMs: SWEEP_INTERVAL_MS,
    work: () => sweepOrganizations({ postgres: app.postgres, eraseEvents }),
    failure: 'organizations whose time is over were not deleted',
  })
}
