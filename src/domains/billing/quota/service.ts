import type { FastifyBaseLogger } from 'fastify'
import type { Metrics } from '../../../infra/metrics.ts'
import type { KnownQuotas, QuotaPolicy, Quotas } from '../../events/index.ts'
import type { Recount } from './recount.ts'

interface Dependencies {
  quotas: Quotas
  /** What the subscription of an organization says; null for one that is gone. */
  policyOf: (organizationId: string) => Promise<QuotaPolicy | null>
  recount: Recount
  known: Pick<KnownQuotas, 'forget' | 'whenMissing'>
  metrics: Pick<Metrics, 'quotaDrift'>
  log: FastifyBaseLogger
}

export type QuotaService = ReturnType<typeof createQuotaService>

/** How often a quota whose counter was lost is compared, so that it is exact although events come in meanwhile. */
const COMPARISONS = 2

/**
 * Brings what a subscription allows to the door, and sees to it that the door has counted right. The door never waits for any of it:
 * where nothing is known, it takes events and counts them.
 */
export function createQuotaService({ quotas, policyOf, recount, known, metrics, log }: Dependencies) {
  const running = new Set<Promise<unknown>>()
  let stopped = false

  /**
   * Writes the policy as it is now; false for an organization that is gone. What was used of a period that the door did not know is
   * counted right after.
   */
  async function apply(organizationId: string): Promise<boolean> {
    const ticket = await quotas.ticket(organizationId)
    const policy = await policyOf(organizationId)
    if (!policy) return false
    const written = await quotas.write(policy, ticket)
    known.forget(organizationId)
    if (written !== 'inexact') return true
    for (let comparison = 0; comparison < COMPARISONS; comparison++) if (!(await compare(organizationId))) break
    return true
  }

  /** Corrects the counter of the door by the event store; gives the difference, or null when there was nothing to compare. */
  async function compare(organizationId: string): Promise<number | null> {
    const difference = await recount(organizationId)
    if (difference) {
      metrics.quotaDrift.inc({ direction: difference > 0 ? 'undercounted' : 'overcounted' }, Math.abs(difference))
      log.warn({ organizationId, difference }, 'the quota of an organization was counted wrong and is corrected')
      known.forget(organizationId)
    }
    return difference
  }

  /** Begins what nobody waits for; a failure is seen to by the next sweep. */
  function inBackground(organizationId: string): void {
    if (stopped) return
    const work = apply(organizationId).catch((error) => {
      if (!stopped) log.warn({ err: error, organizationId }, 'the quota of an organization was not brought to the door')
    })
    running.add(work)
    void work.finally(() => running.delete(work))
  }

  known.whenMissing(inBackground)

  return {
    apply,
    compare,
    applyLater: inBackground,
    /** Waits for what is under way and begins nothing more. */
    async stop(): Promise<void> {
      stopped = true
      await Promise.all(running)
    },
  }
}
