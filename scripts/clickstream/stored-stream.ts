import { setTimeout as sleep } from 'node:timers/promises'
import { trendOver } from './checks.ts'
import { LIBRARY } from './event.ts'
import { planOf, type StreamPlan } from './plan.ts'
import type { AskTrend } from './query-client.ts'

const POLL_INTERVAL_MS = 250
const REPORT_INTERVAL_MS = 10_000

export interface WaitOptions {
  /** How long the store may stand still. */
  patienceMs?: number
  /** Told every ten seconds how far the store has come. */
  onWait?: (reachedMs: number) => void
}

/** Waits until the query API says that it answers with everything that was acknowledged before `atMs` on the server's clock. */
export async function waitUntilComplete(
  plan: StreamPlan,
  atMs: number,
  ask: AskTrend,
  { patienceMs = 120_000, onWait }: WaitOptions = {},
): Promise<void> {
  const query = trendOver(plan, { math: 'count' })
  const from = new Date(plan.untilMs - 60_000).toISOString()
  let reachedMs = 0
  let movedAtMs = Date.now()
  let reportedAtMs = Date.now()
  for (;;) {
    const { answer } = await ask({ ...query, from })
    const completeMs = Date.parse(answer.meta.completeThrough)
    if (completeMs >= atMs) return
    const nowMs = Date.now()
    if (completeMs > reachedMs) {
      reachedMs = completeMs
      movedAtMs = nowMs
    } else if (nowMs - movedAtMs > patienceMs) {
      const stand = `completeThrough stands at ${answer.meta.completeThrough} for ${patienceMs / 1000} s`
      throw new Error(`${stand}: is the sink running?`)
    }
    if (nowMs - reportedAtMs > REPORT_INTERVAL_MS) {
      reportedAtMs = nowMs
      onWait?.(reachedMs)
    }
    await sleep(POLL_INTERVAL_MS)
  }
}

/** The plan of the newest generated stream that the project holds, read from the runs' names. */
export async function findStream(ask: AskTrend, nowMs: number): Promise<StreamPlan | undefined> {
  const filters = [{ field: 'context.library.name', operator: 'eq' as const, value: LIBRARY }]
  const { answer } = await ask({
    kind: 'trend',
    from: new Date(nowMs - 2 * 365 * 86_400_000).toISOString(),
    to: new Date(nowMs + 86_400_000).toISOString(),
    interval: 'month',
    series: [{ math: 'count', filters }],
    breakdown: ['context.library.run'],
    limit: 200,
  })
  const plans = answer.data.map(({ breakdown }) => planOf(String(breakdown?.['context.library.run'] ?? '')))
  return plans.filter((plan) => plan !== undefined).sort((a, b) => b.untilMs - a.untilMs)[0]
}
