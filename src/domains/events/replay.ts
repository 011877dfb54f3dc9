import type { ProjectScope } from '../../http/access.ts'
import type { Admit, Verdict } from './admit.ts'
import { createCapture } from './capture.ts'
import type { CapturedEvent } from './captured-event.ts'
import { clockSkewMs } from './enrich/clock.ts'
import type { Enricher } from './enrich/enrich.ts'
import type { IpPolicy } from './enrich/ip.ts'
import { NO_SENDER } from './enrich/sender.ts'
import { burstExceeded } from './errors.ts'
import { packEvents } from './pack.ts'
import type { Plan } from './plan.ts'
import type { Violation } from './violation.ts'

interface Dependencies {
  admit: Admit
  enricher: Enricher
  planOf: (scope: ProjectScope) => Promise<Plan | null>
  ipPolicyOf: (scope: ProjectScope) => Promise<IpPolicy>
}

interface ReplayedEvent {
  value: Record<string, unknown>
  receivedAtMs: number
  sentAtMs: number | null
}

type Examined = { ready: CapturedEvent } | { violations: Violation[] }

/**
 * The door for events that have been here before. It is the same capture and the same admission, except that an event is completed
 * as of its first arrival and counts as received when it is taken: until then it was in no chart, quota or bill, and a bill that was
 * closed meanwhile stays as it is.
 */
export function createReplayDoor({ admit, enricher, planOf, ipPolicyOf }: Dependencies) {
  return {
    async examine(scope: ProjectScope, events: readonly ReplayedEvent[]): Promise<Examined[]> {
      const [plan, ipPolicy] = await Promise.all([planOf(scope), ipPolicyOf(scope)])
      const takenAtMs = Date.now()
      return events.map(({ value, receivedAtMs, sentAtMs }, index) => {
        const clock = { receivedAtMs, sentAtMs: sentAtMs ?? undefined }
        // Who sent the event is not known any more; what its own context says is.
        const enrich = enricher.forRequest({
          sender: NO_SENDER,
          ipPolicy,
          clockSkewMs: clockSkewMs(clock.sentAtMs, receivedAtMs),
        })
        const capture = createCapture({ ...scope, ...clock, takenAtMs, idempotencyKey: undefined, enrich, plan })
        const outcome = capture({ value }, index)
        if ('event' in outcome) return { ready: outcome.event }
        if ('apart' in outcome) return { violations: [...outcome.warning.violations] }
        const { path, code, message } = outcome.rejection
        return { violations: [{ path, keyword: code, message }] }
      })
    },

    /**
     * Resolves once every event is on disk, known, or left for the quota, as its verdict says. Takes nothing when it rejects with 429
     * or 503.
     */
    async admit(scope: ProjectScope, ready: readonly CapturedEvent[]): Promise<Verdict[]> {
      if (ready.length === 0) return []
      const { verdicts, burst } = await admit(scope, 'live', packEvents(ready, Date.now()))
      if (verdicts) return verdicts
      const seconds = Math.max(1, Math.ceil(burst.resetMs / 1000))
      throw burstExceeded(`The organization sends more events per second than it may. Try again in ${seconds} s.`, {
        headers: { 'retry-after': String(seconds) },
      })
    },
  }
}
export type ReplayDoor = ReturnType<typeof createReplayDoor>
