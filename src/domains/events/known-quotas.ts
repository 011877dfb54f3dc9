import type { Metrics } from '../../infra/metrics.ts'
import type { Admission } from './admit.ts'
import { quotaRefused } from './quota-refusal.ts'
import { type QuotaState, refusalOf } from './quota-state.ts'

/** How long a process goes on refusing by what it knows: after it, one request asks again. */
const STALE_AFTER_MS = 1000
const ORGANIZATIONS_MAX = 10_000

interface Known {
  quota: QuotaState
  untilMs: number
}

export type KnownQuotas = ReturnType<typeof createKnownQuotas>

/**
 * The organizations of which this process knows that nothing of theirs is taken, from the answers of admission. It promises that a
 * request of theirs costs no body, and that nobody is refused by what is older than a second.
 */
export function createKnownQuotas({ metrics }: { metrics: Metrics }) {
  const stopped = new Map<string, Known>()
  const asked = new Map<string, number>()
  let onMissing: (organizationId: string) => void = () => {}

  function note(organizationId: string, quota: QuotaState | null): void {
    if (!quota?.period) askFor(organizationId)
    if (quota && refusalOf(quota)) {
      if (stopped.size >= ORGANIZATIONS_MAX) stopped.clear()
      stopped.set(organizationId, { quota, untilMs: performance.now() + STALE_AFTER_MS })
    } else if (stopped.size > 0) stopped.delete(organizationId)
  }

  /** At most once a second for each organization. */
  function askFor(organizationId: string): void {
    const nowMs = performance.now()
    if ((asked.get(organizationId) ?? Number.NEGATIVE_INFINITY) > nowMs - STALE_AFTER_MS) return
    if (asked.size >= ORGANIZATIONS_MAX) asked.clear()
    asked.set(organizationId, nowMs)
    onMissing(organizationId)
  }

  return {
    /** Throws the Problem with which a request of the organization is refused. */
    check(organizationId: string): void {
      const known = stopped.get(organizationId)
      if (!known) return
      const hasEnded = known.quota.stopped === '' && Date.now() >= (known.quota.period?.endsAtMs ?? 0)
      if (known.untilMs <= performance.now() || hasEnded) return void stopped.delete(organizationId)
      metrics.refusals.inc({ reason: 'quota' })
      throw quotaRefused(known.quota)
    },

    /** Something about the organization has changed: the next request asks. */
    forget: (organizationId: string): void => void stopped.delete(organizationId),

    /** Is told of organizations that send and whose quota nobody has written. */
    whenMissing(listener: (organizationId: string) => void): void {
      onMissing = listener
    },

    /** Wraps admission so that what it says of quotas is known here. */
    noting<Arguments extends [{ organizationId: string }, ...unknown[]]>(
      admit: (...args: Arguments) => Promise<Admission>,
    ) {
      return async (...args: Arguments): Promise<Admission> => {
        const admission = await admit(...args)
        note(args[0].organizationId, admission.quota)
        return admission
      }
    },
  }
}
