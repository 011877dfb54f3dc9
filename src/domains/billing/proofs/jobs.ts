import type { FastifyPluginAsync } from 'fastify'
import { inRounds } from '../../../infra/rounds.ts'
import { inTurn } from '../../../infra/turns.ts'
import type { ProofsService } from './service.ts'

const INTERVAL_MS = 10 * 60_000
/** Longer than a round takes; one that takes longer is joined by another process, which is harmless. */
const TURN_MS = 30 * 60_000

/** Proves the days that are over. */
export const proofJobs: FastifyPluginAsync<{ proofs: Pick<ProofsService, 'proveDue'> }> = async (app, { proofs }) => {
  const prove = async () => {
    const { errors } = await proofs.proveDue()
    for (const err of errors) app.log.error({ err }, 'the usage of a day was not proved and will be tried again')
  }
  inRounds(app, {
    intervalMs: INTERVAL_MS,
    work: () => inTurn(app.redis, 'usage proofs', TURN_MS, prove),
    failure: 'usage was not proved and will be tried again',
  })
}
