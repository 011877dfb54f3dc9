import { type FieldError, invalidRequest } from '../../errors.ts'
import type { Acting } from '../../http/acting.ts'
import { timeToMs } from '../../http/schemas.ts'
import { newId } from '../../ids.ts'
import type { Postgres, SystemTx, TenantTx } from '../../infra/postgres.ts'
import { GENESIS, sealOf } from './chain.ts'
import { csvLine } from './csv.ts'
import { storable, storableText } from './details.ts'
import type { Entry, EntryPage, EntryQuery, ExportQuery } from './schemas.ts'
import * as store from './store.ts'

const USER_AGENT_MAX = 400
const PAGE_ROWS = 1000

/** Something that was done, as a service tells it. */
export interface Act {
  organizationId: string
  /** Left out of what concerns no project. */
  projectId?: string
  /** `system` for what happens by itself, as when a time has come. */
  by: Acting | 'system'
  /** As `noun.verb`, the verb in the past. */
  action: string
  target: { kind: string; id: string }
  before?: Record<string, unknown>
  after?: Record<string, unknown>
}

/**
 * Writes down what was done, in the transaction that did it: there is no act without its entry and no entry without its act. Acts of
 * one organization wait for each other from here until they commit, so that this belongs at the end of a transaction, where no lock
 * that another act could hold is still to be taken; an act in several organizations takes them in the order of their ids.
 */
export async function record(tx: TenantTx | SystemTx, act: Act): Promise<void> {
  const { organizationId, by, action, target } = act
  const actor = actorOf(by)
  const { ip, userAgent } = by === 'system' ? { ip: null, userAgent: undefined } : by
  const actorName = by === 'system' ? null : await store.findActorName(tx, organizationId, actor)
  await store.lockChain(tx, organizationId)
  // A statement after the lock, because it has to see what whoever held the lock has committed.
  const { last, at } = await store.readHead(tx, organizationId)
  const entry = {
    organizationId,
    sequence: (last?.sequence ?? 0) + 1,
    id: newId('aud'),
    at,
    projectId: act.projectId ?? null,
    ...actor,
    actorName,
    action,
    targetKind: target.kind,
    targetId: storableText(target.id),
    ip,
    userAgent: userAgent === undefined ? null : storableText(userAgent.slice(0, USER_AGENT_MAX)),
    before: storable(act.before),
    after: storable(act.after),
    previousHash: last?.hash ?? GENESIS,
  }
  await store.insertEntry(tx, { ...entry, hash: sealOf(entry) })
}

function actorOf(by: Act['by']): Pick<store.EntryRow, 'actorKind' | 'actorId'> {
  if (by === 'system') return { actorKind: 'system', actorId: 'system' }
  const { principal, asOperator } = by
  if (principal.kind === 'key') return { actorKind: 'key', actorId: principal.keyId }
  if (principal.kind === 'session') return { actorKind: asOperator ? 'operator' : 'user', actorId: principal.userId }
  throw new Error('a viewer changes nothing')
}

/** Whose entries are meant: all of an organization, or those that concern one project of it. */
export interface AuditScope {
  organizationId: string
  projectId?: string
}

/** What the look through a chain has found; `broken` is the first entry that is not as it was written. */
export interface Verdict {
  entries: number
  head: { sequence: number; hash: string } | null
  broken: { sequence: number; id: string; reason: string } | null
}

export type AuditService = ReturnType<typeof createAuditService>

export function createAuditService({ postgres }: { postgres: Postgres }) {
  async function* linesOf({ organizationId }: AuditScope, search: store.Search) {
    yield csvLine(CSV_COLUMNS)
    for (let before: number | undefined; ; ) {
      const page = { limit: PAGE_ROWS, before }
      const rows = await postgres.withTenant(organizationId, (tx) => store.listEntries(tx, search, page))
      if (rows.length > 0) yield rows.map(csvRow).join('')
      if (rows.length < PAGE_ROWS) return
      before = rows.at(-1)?.sequence
    }
  }

  return {
    async list(scope: AuditScope, { limit, cursor, ...query }: EntryQuery): Promise<EntryPage> {
      const page = { limit: limit + 1, before: cursor === undefined ? undefined : Number(cursor) }
      const search = readSearch(scope, query)
      const rows = await postgres.withTenant(scope.organizationId, (tx) => store.listEntries(tx, search, page))
      const data = rows.slice(0, limit).map(toEntry)
      return { data, nextCursor: rows.length > limit ? String(data.at(-1)?.sequence) : null }
    },

    /** All entries of a search as CSV, piece by piece. That somebody took them with him is itself an entry, and among them. */
    async export(scope: AuditScope, query: ExportQuery, by: Acting): Promise<AsyncIterable<string>> {
      const search = readSearch(scope, query)
      const { organizationId, projectId } = scope
      const target = projectId ? { kind: 'project', id: projectId } : { kind: 'organization', id: organizationId }
      await postgres.withTenant(organizationId, (tx) =>
        record(tx, { ...scope, by, action: 'audit_log.exported', target, after: query }),
      )
      return linesOf(scope, search)
    },

    /**
     * Looks through the whole chain of an organization. A changed entry does not match its hash, and one that is missing, put in or
     * moved breaks the order. Only the loss of the last entries shows nowhere in what is left: compare the head with an earlier one.
     */
    async verify(organizationId: string): Promise<Verdict> {
      let head: Verdict['head'] = null
      for (;;) {
        const after: number = head?.sequence ?? 0
        const rows: store.EntryRow[] = await postgres.withTenant(organizationId, (tx) =>
          store.listChain(tx, after, PAGE_ROWS),
        )
        for (const row of rows) {
          const reason = faultOf(row, head)
          if (reason)
            return { entries: head?.sequence ?? 0, head, broken: { sequence: row.sequence, id: row.id, reason } }
          head = { sequence: row.sequence, hash: row.hash }
        }
        if (rows.length < PAGE_ROWS) return { entries: head?.sequence ?? 0, head, broken: null }
      }
    },
  }
}

function faultOf(row: store.EntryRow, previous: Verdict['head']): string | undefined {
  if (row.sequence !== (previous?.sequence ?? 0) + 1) return 'the entry before it is missing'
  if (row.previousHash !== (previous?.hash ?? GENESIS)) return 'it does not follow the entry before it'
  return row.hash === sealOf(row) ? undefined : 'it is not as it was written'
}

function readSearch({ projectId }: AuditScope, { action, actor, from, to }: ExportQuery): store.Search {
  const errors: FieldError[] = []
  const time = (name: 'from' | 'to', given: ExportQuery['from']) => {
    if (given === undefined) return undefined
    const ms = timeToMs(given)
    if (Number.isNaN(ms)) errors.push({ path: `/querystring/${name}`, message: 'is not a date that exists' })
    return new Date(ms)
  }
  const search = { projectId, action, actorId: actor, from: time('from', from), to: time('to', to) }
  if (search.from && search.to && search.from >= search.to)
    errors.push({ path: '/querystring/to', message: 'must be later than from' })
  const [fault] = errors
  if (fault) throw invalidRequest(`${fault.path} ${fault.message}.`, { errors })
  return search
}

function toEntry(row: store.EntryRow): Entry {
  const { id, sequence, at, projectId, action, ip, userAgent, before, after, previousHash, hash } = row
  const actor = { kind: row.actorKind, id: row.actorId, name: row.actorName }
  const target = { kind: row.targetKind, id: row.targetId }
  const seal = { previousHash, hash }
  return { id, sequence, at: at.toISOString(), projectId, actor, action, target, ip, userAgent, before, after, ...seal }
}

const CSV_COLUMNS = [
  ...['sequence', 'id', 'at', 'project_id', 'actor_kind', 'actor_id', 'actor_name', 'action', 'target_kind'],
  ...['target_id', 'ip', 'user_agent', 'before', 'after', 'previous_hash', 'hash'],
]

function csvRow(row: store.EntryRow): string {
  const { sequence, id, at, projectId, actorKind, actorId, actorName, action, targetKind, targetId, ip } = row
  const json = (value: object | null) => value && JSON.stringify(value)
  return csvLine([
    ...[sequence, id, at.toISOString(), projectId, actorKind, actorId, actorName, action, targetKind, targetId, ip],
    ...[row.userAgent, json(row.before), json(row.after), row.previousHash, row.hash],
  ])
}
