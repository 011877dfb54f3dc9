import type { ProjectScope } from '../../http/access.ts'
import type { Admit, Verdict } from './admit.ts'
import { type CapturedEvent, createCapture } from './capture.ts'
import { burstExceeded } from './errors.ts'
import { packEvents } from './pack.ts'
import type { Violation } from './violation.ts'

/** What would keep events of a project out of the store right now; empty for an event that may pass. */
export type PlanCheck = (scope: ProjectScope) => Promise<(event: Record<string, unknown>) => Violation[]>

interface Dependencies {
  admit: Admit
  check: PlanCheck
}

interface ReplayedEvent {
  value: Record<string, unknown>
  receivedAtMs: number
  sentAtMs: number | null
}

type Examined = { ready: CapturedEvent } | { violations: Violation[] }

/**
 * The door for events that have been here before. It is the same capture and the same admission, except that an event is completed
 * as of its first receipt, so that replaying it twice writes the same row.
 */
export function createReplayDoor({ admit, check }: Dependencies) {
  return {
    async examine(scope: ProjectScope, events: readonly ReplayedEvent[]): Promise<Examined[]> {
      const violationsOf = await check(scope)
      return events.map(({ value, receivedAtMs, sentAtMs }, index) => {
        const receipt = { receivedAtMs, sentAtMs: sentAtMs ?? undefined, idempotencyKey: undefined }
        const outcome = createCapture({ ...scope, ...receipt })({ value }, index)
        if ('rejection' in outcome) {
          const { path, code, message } = outcome.rejection
          return { violations: [{ path, keyword: code, message }] }
        }
        const violations = violationsOf(value)
        if (violations.length > 0) return { violations }
        return { ready: outcome.event }
      })
    },

    /** Resolves once every event is on disk or known. Takes nothing when it rejects with 429 or 503. */
    async admit(scope: ProjectScope, ready: readonly CapturedEvent[]): Promise<Verdict[]> {
      if (ready.length === 0) return []
      const { verdicts, burst } = await admit(scope, 'live', packEvents(ready))
      if (verdicts) return verdicts
      const seconds = Math.max(1, Math.ceil(burst.resetMs / 1000))
      throw burstExceeded(`The organization sends more events per second than it may. Try again in ${seconds} s.`, {
        headers: { 'retry-after': String(seconds) },
      })
    },
  }
}
export type ReplayDoor = ReturnType<typeof createReplayDoor>
