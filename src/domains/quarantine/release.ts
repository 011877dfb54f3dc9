import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { ClickHouse, ProjectScope } from '../../infra/clickhouse.ts'
import { HELD_BY_QUOTA, type ReplayDoor } from '../events/index.ts'
import { createChanges } from './changes.ts'
import { type HeldPlace, HeldRow, heldStatement } from './queries.ts'
import { BEYOND_QUOTA, createReplay } from './replay.ts'
import { chunksOf } from './selection.ts'

interface Dependencies {
  clickhouse: ClickHouse
  door: ReplayDoor
}

export interface Released {
  events: number
  /** Whether the quota left some of them. */
  isFull: boolean
}

const PAGE_ITEMS = 500
const RELEASED_BY = 'quota'

/**
 * Takes in what the quota of an organization has held, oldest first over all its projects, until it is full again. Whatever breaks off is done again by the next call: the door and the store
 * know what they have. What does not pass for another reason stays for its owner.
 */
export function createHeldRelease({ clickhouse, door }: Dependencies) {
  const read = async <S extends TSchema>(
    scope: ProjectScope,
    statement: { sql: string; params: Record<string, unknown>; schema: S },
  ): Promise<Static<S>[]> => (await clickhouse.query(scope, statement)).rows
  const replayChunk = createReplay({ read, door, changes: createChanges(clickhouse) })

  async function page(organizationId: string, after: HeldPlace | undefined) {
    const { sql, params } = heldStatement({ organizationId, reason: HELD_BY_QUOTA, after }, PAGE_ITEMS)
    const answer = await clickhouse.client.query({
      query: sql,
      query_params: params,
      format: 'JSONEachRow',
      clickhouse_settings: { output_format_json_quote_64bit_integers: 0 },
    })
    return Value.Decode(Type.Array(HeldRow), await answer.json())
  }

  async function releaseRun(organizationId: string, run: Static<typeof HeldRow>[]): Promise<Released> {
    const scope = { organizationId, projectId: run[0]?.projectId ?? '' }
    let events = 0
    for (const messageIds of chunksOf(run)) {
      const results = await replayChunk(scope, messageIds, {
        repair: (event) => ({ event, violations: [] }),
        statuses: ['open'],
        dryRun: false,
        by: RELEASED_BY,
      })
      events += results.filter(({ outcome }) => outcome === 'replayed').length
      if (results.some(({ violations }) => violations?.includes(BEYOND_QUOTA))) return { events, isFull: true }
    }
    return { events, isFull: false }
  }

  return async (organizationId: string): Promise<Released> => {
    let events = 0
    for (let after: HeldPlace | undefined; ; ) {
      const items = await page(organizationId, after)
      for (const run of runsOf(items)) {
        const released = await releaseRun(organizationId, run)
        events += released.events
        if (released.isFull) return { events, isFull: true }
      }
      const last = items.at(-1)
      if (!last || items.length < PAGE_ITEMS) return { events, isFull: false }
      after = last
    }
  }
}
export type HeldRelease = ReturnType<typeof createHeldRelease>

/** The items of one project that follow each other, so that the order over all projects holds. */
function runsOf(items: Static<typeof HeldRow>[]): Static<typeof HeldRow>[][] {
  const runs: Static<typeof HeldRow>[][] = []
  for (const item of items) {
    const run = runs.at(-1)
    if (run?.[0]?.projectId === item.projectId) run.push(item)
    else runs.push([item])
  }
  return runs
}

/** The organizations of which something is held. */
export async function organizationsHeld(clickhouse: Pick<ClickHouse, 'client'>): Promise<string[]> {
  const answer = await clickhouse.client.query({
    query: `SELECT DISTINCT organization_id AS organizationId FROM quarantined_events FINAL
            WHERE reason = {reason:String} AND status = 'open'`,
    query_params: { reason: HELD_BY_QUOTA },
    format: 'JSONEachRow',
  })
  return (await answer.json<{ organizationId: string }>()).map(({ organizationId }) => organizationId)
}
