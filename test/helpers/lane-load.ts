import type { ProjectScope } from '../../src/http/access.ts'
import { eventually } from './app.ts'
import { newEvents, type Pipeline } from './pipeline.ts'

const MONTH_MS = 30 * 86_400_000
const REQUEST_EVENTS = 1000

/** Admits history to the lane of imports: events of the last so many months, in no order. Resolves to the ids. */
export async function importHistory(pipeline: Pipeline, scope: ProjectScope, count: number, months: number) {
  const ids: string[] = []
  while (ids.length < count) {
    const events = newEvents(Math.min(REQUEST_EVENTS, count - ids.length)).map((event, index) => ({
      ...event,
      timestamp: new Date(Date.now() - ((ids.length + index * 7) % months) * MONTH_MS).toISOString(),
      properties: { plan: 'pro', note: 'x'.repeat(300) },
    }))
    await pipeline.send(scope, events, Date.now(), 'import')
    ids.push(...events.map((event) => event.messageId))
  }
  return ids
}

/** Whether a lane has stored all that it was given. */
export async function isDrained({ redis }: Pipeline, keys: { stream: string; cursor: string }): Promise<boolean> {
  const [newest] = await redis.xrevrange(keys.stream, '+', '-', 'COUNT', 1)
  return newest === undefined || (await redis.get(keys.cursor)) === newest[0]
}

/**
 * Sends live events at a steady pace while `goesOn` says so; resolves to the milliseconds from each answer until the event could be
 * queried, in ascending order.
 */
export async function liveLatencies(pipeline: Pipeline, scope: ProjectScope, goesOn: () => Promise<boolean>) {
  const { redis, keys } = pipeline
  const waiting: { id: string; ackedAt: number }[] = []
  const latencies: number[] = []
  let sentAt = 0
  await eventually(
    'the end of the measurement',
    async () => {
      if (performance.now() - sentAt >= 20) {
        sentAt = performance.now()
        await pipeline.send(scope, newEvents(10))
        const [newest] = await redis.xrevrange(keys.stream, '+', '-', 'COUNT', 1)
        if (newest) waiting.push({ id: newest[0], ackedAt: performance.now() })
      }
      const cursor = (await redis.get(keys.cursor)) ?? '0-0'
      while (waiting[0] && !isLater(waiting[0].id, cursor)) {
        latencies.push(performance.now() - (waiting.shift()?.ackedAt ?? 0))
      }
      return !(await goesOn())
    },
    180_000,
  )
  return latencies.sort((left, right) => left - right)
}

function isLater(left: string, right: string): boolean {
  const [leftMs = 0, leftSequence = 0] = left.split('-').map(Number)
  const [rightMs = 0, rightSequence = 0] = right.split('-').map(Number)
  return leftMs > rightMs || (leftMs === rightMs && leftSequence > rightSequence)
}

export const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
