import { Type } from '@sinclair/typebox'
import type { Place } from './cursor.ts'
import type { Status } from './schemas.ts'

/** What a statement reads of one project's items. The scope is bound by whoever runs it. */
export interface Search {
  reason?: string | undefined
  event?: string | undefined
  statuses?: readonly Status[] | undefined
  messageIds?: readonly string[] | undefined
  fromMs?: number | undefined
  toMs?: number | undefined
  after?: Place | undefined
}

type Order = 'newest first' | 'oldest first'

/** Rows of a table whose every version of an item meets in one part of the sort key, so FINAL sees the last of them. */
const SCOPED = `FROM quarantined_events FINAL
  WHERE organization_id = {organizationId:String} AND project_id = {projectId:String}`
const RECEIVED = 'toUnixTimestamp64Milli(received_at)'

/** Conditions as text of our own and values as bound parameters. */
function conditionsOf(search: Search, order: Order) {
  const place = search.after && [search.after.receivedAtMs, search.after.messageId]
  const wanted: [condition: string, value: unknown][] = [
    [`(reason = {reason:String} OR startsWith(reason, concat({reason:String}, ':')))`, search.reason],
    ['event = {event:String}', search.event],
    ['status IN {statuses:Array(String)}', search.statuses],
    ['message_id IN {messageIds:Array(String)}', search.messageIds],
    [`${RECEIVED} >= {fromMs:Int64}`, search.fromMs],
    [`${RECEIVED} < {toMs:Int64}`, search.toMs],
    [`(${RECEIVED}, message_id) ${order === 'newest first' ? '<' : '>'} ({placeMs:Int64}, {placeId:String})`, place],
  ]
  const used = wanted.filter(([, value]) => value !== undefined).map(([condition]) => `\n    AND ${condition}`)
  const { after, ...values } = search
  return { where: used.join(''), params: { ...values, placeMs: after?.receivedAtMs, placeId: after?.messageId } }
}

const orderBy = (order: Order) => {
  const direction = order === 'newest first' ? 'DESC' : 'ASC'
  return `ORDER BY received_at ${direction}, message_id ${direction}`
}

const StatusColumn = Type.Union([Type.Literal('open'), Type.Literal('replayed'), Type.Literal('discarded')])

export const ItemRow = Type.Object({
  messageId: Type.String(),
  event: Type.String(),
  receivedAtMs: Type.Integer(),
  sentAtMs: Type.Union([Type.Integer(), Type.Null()]),
  payload: Type.String(),
  reason: Type.String(),
  violations: Type.String(),
  planVersion: Type.Integer(),
  status: StatusColumn,
  revision: Type.Number(),
  changedAtMs: Type.Integer(),
  changedBy: Type.String(),
})

const ITEM_COLUMNS = `message_id AS messageId, event, ${RECEIVED} AS receivedAtMs, toUnixTimestamp64Milli(sent_at) AS sentAtMs,
  payload, reason, violations, plan_version AS planVersion, status, revision,
  toUnixTimestamp64Milli(changed_at) AS changedAtMs, changed_by AS changedBy`

/** One page of whole items. The inner select finds them in narrow columns before the payloads are read. */
export function itemsStatement(search: Search, limit: number) {
  const { where, params } = conditionsOf(search, 'newest first')
  const sql = `SELECT ${ITEM_COLUMNS}
${SCOPED}
    AND message_id IN (SELECT message_id ${SCOPED}${where} ${orderBy('newest first')} LIMIT {limit:UInt32})
${orderBy('newest first')}`
  return { sql, params: { ...params, limit }, schema: ItemRow }
}

/** Whole items by their ids, the ones that are still in one of the statuses. */
export function itemsByIdStatement(messageIds: readonly string[], statuses: readonly Status[]) {
  const { where, params } = conditionsOf({ messageIds, statuses }, 'oldest first')
  return { sql: `SELECT ${ITEM_COLUMNS}\n${SCOPED}${where}\n${orderBy('oldest first')}`, params, schema: ItemRow }
}

export const KeyRow = Type.Object({ messageId: Type.String(), receivedAtMs: Type.Integer(), bytes: Type.Integer() })

/** Which items a change is about, in the order in which they were received, and how large they are. */
export function keysStatement(search: Search, limit: number) {
  const { where, params } = conditionsOf(search, 'oldest first')
  const sql = `SELECT message_id AS messageId, ${RECEIVED} AS receivedAtMs, payload_bytes AS bytes
${SCOPED}${where} ${orderBy('oldest first')} LIMIT {limit:UInt32}`
  return { sql, params: { ...params, limit }, schema: KeyRow }
}

export const HeldRow = Type.Object({ projectId: Type.String(), ...KeyRow.properties })
export type HeldPlace = Place & { projectId: string }

/** Which open items of one reason an organization has, over all its projects, in the order in which they were received. */
export function heldStatement(
  { organizationId, reason, after }: { organizationId: string; reason: string; after: HeldPlace | undefined },
  limit: number,
) {
  const further = after
    ? `AND (${RECEIVED}, project_id, message_id) > ({placeMs:Int64}, {placeProjectId:String}, {placeId:String})`
    : ''
  const sql = `SELECT project_id AS projectId, message_id AS messageId, ${RECEIVED} AS receivedAtMs, payload_bytes AS bytes
FROM quarantined_events FINAL
WHERE organization_id = {organizationId:String} AND status = 'open' AND reason = {reason:String} ${further}
ORDER BY received_at, project_id, message_id LIMIT {limit:UInt32}`
  const place = after && { placeMs: after.receivedAtMs, placeProjectId: after.projectId, placeId: after.messageId }
  return { sql, params: { organizationId, reason, limit, ...place } }
}

export const SummaryRow = Type.Object({
  reason: Type.String(),
  event: Type.String(),
  status: StatusColumn,
  count: Type.Integer(),
  firstMs: Type.Integer(),
  lastMs: Type.Integer(),
  total: Type.Integer(),
})

export function summaryStatement(search: Search, limit: number) {
  const { where, params } = conditionsOf(search, 'newest first')
  const sql = `SELECT reason, event, status, count() AS count, min(${RECEIVED}) AS firstMs, max(${RECEIVED}) AS lastMs,
  sum(count()) OVER () AS total
${SCOPED}${where}
GROUP BY reason, event, status
ORDER BY count DESC, reason, event, status LIMIT {limit:UInt32}`
  return { sql, params: { ...params, limit }, schema: SummaryRow }
}

export const StoredRow = Type.Object({ messageId: Type.String() })

/** Which of these ids the event store holds, among the events of these days. */
export function storedStatement(messageIds: readonly string[], fromMs: number, toMs: number) {
  const day = (name: string) => `toDate(fromUnixTimestamp64Milli({${name}:Int64}, 'UTC'))`
  const sql = `SELECT DISTINCT message_id AS messageId FROM events
  WHERE organization_id = {organizationId:String} AND project_id = {projectId:String}
    AND toDate(timestamp) >= ${day('fromMs')} AND toDate(timestamp) <= ${day('toMs')}
    AND message_id IN {messageIds:Array(String)}`
  return { sql, params: { messageIds, fromMs, toMs }, schema: StoredRow }
}
