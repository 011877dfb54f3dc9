import type { Metrics } from '../../../infra/metrics.ts'
import type { Postgres } from '../../../infra/postgres.ts'
import type { KnownQuotas, QuotaPolicy, Quotas } from '../../events/index.ts'
import type { Recount } from './recount.ts'
import { listOrganizationIds, organizationExists } from './store.ts'

interface Dependencies {
  postgres: Postgres
  quotas: Quotas
  /** What the subscription of an organization says. */
  policyOf: (organizationId: string) => Promise<QuotaPolicy>
  recount: Recount
  known: Pick<KnownQuotas, 'forget' | 'whenMissing'>
  metrics: Pick<Metrics, 'quotaDrift'>
  /** Is told by how many events a counter was wrong. */
  onDrift: (organizationId: string, difference: number) => void
  /** Is told of what failed that nobody waits for. */
  onFault: (organizationId: string, error: unknown) => void
}

export type QuotaService = ReturnType<typeof createQuotaService>

/** How often a quota whose counter was lost is compared, so that it is exact although events come in meanwhile. */
const COMPARISONS = 2

/**
 * Brings what a subscription allows to the door, and sees to it that the door has counted right. The door never waits for any of it:
 * where nothing is known, it takes events and counts them.
 */
export function createQuotaService(dependencies: Dependencies) {
  const { postgres, quotas, policyOf, recount, known, metrics, onDrift, onFault } = dependencies
  const running = new Set<Promise<unknown>>()
  let stopped = false

  /**
   * Writes the policy as it is now; false for an organization that is gone. What was used of a period that the door did not know is
   * counted right after.
   */
  async function apply(organizationId: string): Promise<boolean> {
    const ticket = await quotas.ticket(organizationId)
    // Events may still come of an organization that has just been deleted.
    if (!(await postgres.withTenant(organizationId, (tx) => organizationExists(tx, organizationId)))) return false
    const written = await quotas.write(await policyOf(organizationId), ticket)
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
      onDrift(organizationId, difference)
      known.forget(organizationId)
    }
    return difference
  }

  /** Begins what nobody waits for; a failure is seen to by the next sweep. */
  function inBackground(organizationId: string): void {
    if (stopped) return
    const work = apply(organizationId).catch((error) => {
      if (!stopped) onFault(organizationId, error)
    })
    running.add(work)
    void work.finally(() => running.delete(work))
  }

  known.whenMissing(inBackground)

  return {
    apply,
    compare,
    applyLater: inBackground,
    /** Ids of organizations in their order, after one of them. */
    organizationsAfter: (after: string, limit: number): Promise<string[]> =>
      postgres.withSystem((tx) => listOrganizationIds(tx, after, limit)),
    /** Waits for what is under way and begins nothing more. */
    async stop(): Promise<void> {
      stopped = true
      await Promise.all(running)
    },
  }
}
