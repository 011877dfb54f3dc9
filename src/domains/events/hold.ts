import type { ProjectScope } from '../../http/access.ts'
import type { Verdict } from './admit.ts'
import type { CapturedEvent } from './captured-event.ts'
import { messageIdOf, type PackedEvents } from './pack.ts'
import { captureApart } from './quarantine-row.ts'
import { decodeRow, rowEnd } from './row.ts'
import { rebuildEvent } from './stores.ts'

/** The reason of what the quota holds, as the quarantine shows it. */
export const HELD_BY_QUOTA = 'quota_held'

/** The events of a request that the quota holds back, as admission to the lane `quarantine` takes them. */
export function heldEvents(scope: ProjectScope, packed: PackedEvents, verdicts: readonly Verdict[]): CapturedEvent[] {
  const held: CapturedEvent[] = []
  let start = 0
  for (const [position, verdict] of verdicts.entries()) {
    const end = rowEnd(packed.rows, start)
    if (verdict === 'held') {
      const row = decodeRow(packed.rows.subarray(start, end))
      const { event, payload, sentAtMs } = rebuildEvent(row)
      held.push(
        captureApart(scope, {
          messageId: messageIdOf(packed, position),
          retryStable: packed.ids[position]?.retryStable ?? false,
          event,
          payload,
          reason: HELD_BY_QUOTA,
          violations: [],
          planVersion: 0,
          receivedAtMs: row.received_at,
          sentAtMs: sentAtMs ?? undefined,
        }),
      )
    }
    start = end
  }
  return held
}
