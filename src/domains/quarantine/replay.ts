import type { Static, TSchema } from '@sinclair/typebox'
import { timeToMs } from '../../http/schemas.ts'
import type { ProjectScope } from '../../infra/clickhouse.ts'
import type { ReplayDoor } from '../events/index.ts'
import type { Changes } from './changes.ts'
import type { Repair } from './mapping.ts'
import { type ItemRow, itemsByIdStatement, storedStatement } from './queries.ts'
import type { ReplayResult, Status } from './schemas.ts'

/** An event that the door will take. */
type Passing = { item: Item } & Extract<Awaited<ReturnType<ReplayDoor['examine']>>[number], { ready: unknown }>

interface Dependencies {
  read: <S extends TSchema>(
    scope: ProjectScope,
    statement: { sql: string; params: Record<string, unknown>; schema: S },
  ) => Promise<Static<S>[]>
  door: ReplayDoor
  changes: Changes
}

interface Options {
  repair: Repair
  /** Items that are in another status by now are passed over. */
  statuses: readonly Status[]
  dryRun: boolean
  by: string
}

type Item = Static<typeof ItemRow>

/** `left`: the quota does not take it now, so that it stays. */
type Taken = 'replayed' | 'duplicate' | 'left'

export const BEYOND_QUOTA = {
  path: '',
  keyword: 'billing.quota_exceeded',
  message: 'The events of the billing period are used up.',
}

/** Replays some items of one project; results in the order of the ids, without ids that are gone. */
export function createReplay({ read, door, changes }: Dependencies) {
  return async (scope: ProjectScope, messageIds: readonly string[], options: Options): Promise<ReplayResult[]> => {
    const items = await read(scope, itemsByIdStatement(messageIds, options.statuses))
    const repaired = items.map((item) => ({ item, ...options.repair(eventOf(item)) }))
    const whole = repaired.filter(({ violations }) => violations.length === 0)
    const examined = await door.examine(
      scope,
      whole.map(({ item, event }) => ({
        value: event,
        receivedAtMs: item.receivedAtMs,
        sentAtMs: item.sentAtMs,
      })),
    )
    const verdicts = new Map(whole.map(({ item }, index) => [item.messageId, examined[index]]))
    const passing = whole.flatMap(({ item }) => {
      const verdict = verdicts.get(item.messageId)
      return verdict && 'ready' in verdict ? [{ item, ...verdict }] : []
    })
    const taken = options.dryRun ? new Map<string, Taken>() : await take(scope, passing, options.by)

    return repaired.map(({ item: { messageId }, event, violations }) => {
      const verdict = verdicts.get(messageId)
      const shown = options.dryRun ? { event } : {}
      const outcome = taken.get(messageId)
      if (outcome === 'left') return { messageId, outcome: 'failing', violations: [BEYOND_QUOTA] }
      if (verdict && 'ready' in verdict) return { messageId, outcome: outcome ?? 'passing', ...shown }
      return { messageId, outcome: 'failing', ...shown, violations: verdict ? verdict.violations : violations }
    })
  }

  async function take(scope: ProjectScope, passing: Passing[], by: string): Promise<Map<string, Taken>> {
    const stored = await storedIds(scope, passing)
    const absent = passing.filter(({ item }) => !stored.has(item.messageId))
    const admitted = await door.admit(
      scope,
      absent.map(({ ready }) => ready),
    )
    const outcomes = new Map(passing.map(({ item }): [string, Taken] => [item.messageId, 'duplicate']))
    for (const [index, { item }] of absent.entries()) {
      const verdict = admitted[index]
      if (verdict === 'new') outcomes.set(item.messageId, 'replayed')
      else if (verdict !== 'duplicate' && verdict !== 'conflict') outcomes.set(item.messageId, 'left')
    }
    const done = passing.filter(({ item }) => outcomes.get(item.messageId) !== 'left')
    await changes.markReplayed(
      scope,
      done.map(({ item }) => item),
      by,
    )
    return outcomes
  }

  /**
   * Which of the events the store has already, under any name and at any time of the day: a client that sent its event again without
   * the fault comes first, also when the door has long forgotten it.
   */
  async function storedIds(scope: ProjectScope, passing: Passing[]): Promise<Set<string>> {
    if (passing.length === 0) return new Set()
    const times = passing.flatMap(({ item, ready }) => [ready.occurredAtMs, item.receivedAtMs, ...sentTimes(item)])
    const [fromMs, toMs] = [Math.max(0, Math.min(...times) - DAY_MS), Math.max(Date.now(), ...times) + DAY_MS]
    const rows = await read(
      scope,
      storedStatement(
        passing.map(({ item }) => item.messageId),
        fromMs,
        toMs,
      ),
    )
    return new Set(rows.map((row) => row.messageId))
  }
}

const DAY_MS = 86_400_000

function eventOf(item: Item): Record<string, unknown> {
  return { ...(JSON.parse(item.payload) as Record<string, unknown>), messageId: item.messageId }
}

/** The time that the event came with; a mapping may have given it another. */
function sentTimes(item: Item): number[] {
  const { timestamp } = JSON.parse(item.payload) as { timestamp?: unknown }
  const ms = typeof timestamp === 'string' || typeof timestamp === 'number' ? timeToMs(timestamp) : Number.NaN
  return ms >= 0 && ms < Date.now() + DAY_MS ? [ms] : []
}
