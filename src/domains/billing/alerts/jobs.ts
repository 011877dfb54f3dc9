import type { FastifyBaseLogger, FastifyPluginAsync } from 'fastify'
import { inRounds } from '../../../infra/rounds.ts'
import { oncePer } from '../../../infra/turns.ts'
import { QUOTA_POLICY_CHANGED } from '../fact-kinds.ts'
import type { EvaluationService } from './evaluation/service.ts'
import type { Touched } from './touched.ts'

const INTERVAL_MS = 60_000
/** A little less, so that no minute is left out because a timer was early. */
const TURN_MS = 55_000

interface RoundOptions {
  touched: Pick<Touched, 'list' | 'settle'>
  evaluate: EvaluationService['evaluate']
  log: Pick<FastifyBaseLogger, 'error'>
}

/** Looks at every organization whose usage has changed. One that cannot be looked at stays marked, and holds up no other. */
export async function evaluateTouched({ touched, evaluate, log }: RoundOptions): Promise<void> {
  for (const [organizationId, revision] of await touched.list()) {
    try {
      await evaluate(organizationId)
      await touched.settle(organizationId, revision)
    } catch (error) {
      log.error({ err: error, organizationId }, 'the usage alerts of an organization will be looked at again')
    }
  }
}

/** Any number of processes may look at once: what one of them has told, the others find written down. */
export const alertJobs: FastifyPluginAsync<{ touched: Touched; evaluate: EvaluationService['evaluate'] }> = async (
  app,
  { touched, evaluate },
) => {
  const { redis, log } = app
  // A lower limit may be crossed by what was used before.
  app.facts.on(QUOTA_POLICY_CHANGED, ({ organizationId }) => {
    touched.mark(organizationId).catch((error) => log.error({ err: error, organizationId }, 'alerts were not marked'))
  })
  inRounds(app, {
    intervalMs: INTERVAL_MS,
    work: () => oncePer(redis, 'usage alerts', TURN_MS, () => evaluateTouched({ touched, evaluate, log })),
    failure: 'usage alerts were not looked at and will be the next time',
  })
}
