import type { Static, TSchema } from '@sinclair/typebox'
import { type FieldError, invalidRequest } from '../../errors.ts'
import type { Principal } from '../../http/access.ts'
import type { Acting } from '../../http/acting.ts'
import type { ClickHouse, ProjectScope } from '../../infra/clickhouse.ts'
import type { Postgres } from '../../infra/postgres.ts'
import { record } from '../audit/index.ts'
import type { ReplayDoor } from '../events/index.ts'
import { type Actor, createChanges } from './changes.ts'
import { encodeCursor, type Place } from './cursor.ts'
import { compileMapping } from './mapping.ts'
import { type ItemRow, itemsStatement, keysStatement, summaryStatement } from './queries.ts'
import { createReplay } from './replay.ts'
import {
  type DiscardAnswer,
  type DiscardInput,
  type Item,
  type ItemPage,
  type ItemsQuery,
  LIMITS,
  type ReplayAnswer,
  type ReplayInput,
  type Summary,
  type SummaryQuery,
} from './schemas.ts'
import { chunksOf, type Selection, selectForChange, selectGroups, selectItems } from './selection.ts'

interface Dependencies {
  clickhouse: ClickHouse
  postgres: Postgres
  door: ReplayDoor
}

export type QuarantineService = ReturnType<typeof createQuarantineService>

/** What was refused and kept: read it, repair it and send it through the door again, or let it go. */
export function createQuarantineService({ clickhouse, postgres, door }: Dependencies) {
  const changes = createChanges(clickhouse)
  const read = async <S extends TSchema>(
    scope: ProjectScope,
    statement: { sql: string; params: Record<string, unknown>; schema: S },
  ): Promise<Static<S>[]> => (await clickhouse.query(scope, statement)).rows
  const replayChunk = createReplay({ read, door, changes })

  /** The items of one call, oldest first, and the cursor after them. */
  async function keysOf(scope: ProjectScope, { search, name, limit }: Selection) {
    const found = await read(scope, keysStatement(search, limit + 1))
    const keys = found.slice(0, limit)
    return { keys, nextCursor: cursorAfter(keys.at(-1), found.length > limit, name) }
  }

  /**
   * Items lie in a store that shares no transaction with the log, so that the entry comes first: nothing is done that was not written
   * down, and where it breaks off the entry says what was asked for. No value of an event is in it.
   */
  async function writeDown(scope: ProjectScope, by: Acting, action: string, input: DiscardInput, keys: Place[]) {
    const [first, last] = [keys[0]?.messageId, keys.at(-1)?.messageId]
    if (first === undefined) return
    const after = { events: keys.length, filter: input.filter, firstMessageId: first, lastMessageId: last }
    const target = { kind: 'quarantine', id: scope.projectId }
    await postgres.withTenant(scope.organizationId, (tx) => record(tx, { ...scope, by, action, target, after }))
  }

  return {
    async list(scope: ProjectScope, query: ItemsQuery): Promise<ItemPage> {
      const { search, name, limit } = selectItems(query)
      const rows = await read(scope, itemsStatement(search, limit + 1))
      const page = rows.slice(0, limit)
      return { data: page.map(toItem), nextCursor: cursorAfter(page.at(-1), rows.length > limit, name) }
    },

    async summary(scope: ProjectScope, query: SummaryQuery): Promise<Summary> {
      const rows = await read(scope, summaryStatement(selectGroups(query), LIMITS.groups))
      const data = rows.map(({ firstMs, lastMs, total: _, ...group }) => ({
        ...group,
        firstReceivedAt: new Date(firstMs).toISOString(),
        lastReceivedAt: new Date(lastMs).toISOString(),
      }))
      return { data, total: rows[0]?.total ?? 0 }
    },

    /**
     * Sends one page of items through the door again. An item is closed only after the door said that its event is on disk or known;
     * whatever breaks off in between is done again by the next call, and the door recognizes what it has.
     */
    async replay(scope: ProjectScope, input: ReplayInput, acting: Acting): Promise<ReplayAnswer> {
      const faults: FieldError[] = []
      const repair = compileMapping(input.mapping, '/mapping', faults)
      const [fault] = faults
      if (fault) throw invalidRequest(`${fault.path} ${fault.message}.`, { errors: faults })
      const selection = selectForChange(input, ['open', 'discarded'])
      const { keys, nextCursor } = await keysOf(scope, selection)
      const dryRun = input.dryRun ?? false
      const by = actorOf(acting.principal)
      if (!dryRun) await writeDown(scope, acting, 'quarantine.replayed', input, keys)
      const options = { repair, dryRun, by, statuses: selection.search.statuses ?? [] }
      const results: ReplayAnswer['results'] = []
      for (const messageIds of chunksOf(keys)) {
        for (const result of await replayChunk(scope, messageIds, options)) {
          // Past the ones that are shown, a repaired event is only memory.
          if (results.length >= LIMITS.resultsShown) delete result.event
          results.push(result)
        }
      }
      const count = (outcome: (typeof results)[number]['outcome']) =>
        results.filter((result) => result.outcome === outcome).length
      const failing = results.filter((result) => result.outcome === 'failing')
      const shown = [...failing, ...results.filter((result) => result.outcome !== 'failing')]
      return {
        dryRun,
        matched: results.length,
        passing: results.length - failing.length,
        failing: failing.length,
        replayed: count('replayed'),
        duplicates: count('duplicate'),
        results: shown.slice(0, LIMITS.resultsShown),
        nextCursor,
      }
    },

    async discard(scope: ProjectScope, input: DiscardInput, acting: Acting): Promise<DiscardAnswer> {
      const { keys, nextCursor } = await keysOf(scope, selectForChange(input, ['open']))
      const messageIds = keys.map((key) => key.messageId)
      await writeDown(scope, acting, 'quarantine.discarded', input, keys)
      await changes.discard(scope, messageIds, actorOf(acting.principal))
      return { discarded: messageIds.length, nextCursor }
    },
  }
}

const actorOf = (principal: Principal): Actor => {
  if (principal.kind === 'key') return `key:${principal.keyId}`
  return principal.kind === 'session' ? `user:${principal.userId}` : 'viewer'
}

const cursorAfter = (last: Place | undefined, more: boolean, search: string) =>
  last && more ? encodeCursor(last, search) : null

function toItem(row: Static<typeof ItemRow>): Item {
  return {
    messageId: row.messageId,
    event: row.event,
    receivedAt: new Date(row.receivedAtMs).toISOString(),
    reason: row.reason,
    violations: JSON.parse(row.violations || '[]'),
    planVersion: row.planVersion || null,
    status: row.status,
    changedAt: new Date(row.changedAtMs).toISOString(),
    changedBy: row.changedBy,
    payload: JSON.parse(row.payload),
  }
}
