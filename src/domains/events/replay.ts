import type { ProjectScope } from '../../http/access.ts'
import type { Admission, Verdict } from './admit.ts'
import { type CapturedEvent, capture } from './capture.ts'
import { burstExceeded } from './errors.ts'

/** A broken rule: where in the event, which rule, and what it says. */
export interface Violation {
  path: string
  keyword: string
  message: string
}

/** What would keep events of a project out of the store right now; empty for an event that may pass. */
export type PlanCheck = (scope: ProjectScope) => Promise<(event: Record<string, unknown>) => Violation[]>

interface Dependencies {
  admit: (scope: ProjectScope, events: CapturedEvent[], nowMs: number) => Promise<Admission>
  check: PlanCheck
}

interface ReplayedEvent {
  value: Record<string, unknown>
  receivedAtMs: number
  sentAtMs: number | null
}

type Examined = { ready: CapturedEvent; timeMs: number } | { violations: Violation[] }

/**
 * The door for events that have been here before. It is the same capture and the same admission, except that an event is completed
 * as of its first receipt, so that replaying it twice writes the same row.
 */
export function createReplayDoor({ admit, check }: Dependencies) {
  return {
    async examine(scope: ProjectScope, events: readonly ReplayedEvent[]): Promise<Examined[]> {
      const violationsOf = await check(scope)
      return events.map(({ value, receivedAtMs, sentAtMs }, index) => {
        const context = { ...scope, receivedAtMs, sentAtMs: sentAtMs ?? undefined, idempotencyKey: undefined }
        const outcome = capture({ value }, index, context)
        if ('rejection' in outcome) {
          const { path, code, message } = outcome.rejection
          return { violations: [{ path, keyword: code, message }] }
        }
        const violations = violationsOf(value)
        if (violations.length > 0) return { violations }
        return { ready: outcome.event, timeMs: timeOf(outcome.event) }
      })
    },

    /** Resolves once every event is on disk or known. Takes nothing when it rejects with 429 or 503. */
    async admit(scope: ProjectScope, ready: readonly CapturedEvent[]): Promise<Verdict[]> {
      if (ready.length === 0) return []
      const { verdicts, burst } = await admit(scope, [...ready], Date.now())
      if (verdicts) return verdicts
      const seconds = Math.max(1, Math.ceil(burst.resetMs / 1000))
      throw burstExceeded(`The organization sends more events per second than it may. Try again in ${seconds} s.`, {
        headers: { 'retry-after': String(seconds) },
      })
    },
  }
}
export type ReplayDoor = ReturnType<typeof createReplayDoor>

const timeOf = ({ line }: CapturedEvent): number => {
  const { timestamp } = JSON.parse(line) as { timestamp: string }
  return Date.parse(`${timestamp.replace(' ', 'T')}Z`)
}
