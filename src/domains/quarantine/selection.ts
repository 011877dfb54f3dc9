import type { Static } from '@sinclair/typebox'
import { type FieldError, invalidRequest } from '../../errors.ts'
import { timeToMs } from '../../http/schemas.ts'
import { decodeCursor } from './cursor.ts'
import { refuse } from './errors.ts'
import type { KeyRow, Search } from './queries.ts'
import { type DiscardInput, type ItemsQuery, LIMITS, type Status, type SummaryQuery } from './schemas.ts'

/** A checked search, and the text that names it in a cursor. */
export interface Selection {
  search: Search
  name: string
  limit: number
}

export function selectItems(query: ItemsQuery): Selection {
  const { cursor, limit, ...rest } = query
  const name = JSON.stringify(['items', Object.entries(rest).sort()])
  const search = { ...readFilter(rest, '/querystring'), after: readCursor(cursor, name, '/querystring/cursor') }
  return { search, name, limit }
}

export const selectGroups = (query: SummaryQuery): Search => readFilter(query, '/querystring')

/** What a change is about. A list of ids may name discarded items too, so that a discard can be taken back. */
export function selectForChange(input: DiscardInput, statusesByIds: readonly Status[]): Selection {
  const { filter, messageIds, cursor, limit = LIMITS.itemsPerCall } = input
  if (filter && messageIds) refuse('/messageIds', 'may not be given together with a filter')
  if (!filter && !messageIds) refuse('/filter', 'is required, unless messageIds are given; {} means every open event')
  const name = JSON.stringify(['change', Object.entries(filter ?? {}).sort(), messageIds?.toSorted()])
  const chosen = filter
    ? { ...readFilter(filter, '/filter'), statuses: ['open'] as const }
    : { messageIds, statuses: statusesByIds }
  return { search: { ...chosen, after: readCursor(cursor, name, '/cursor') }, name, limit }
}

function readFilter(filter: Omit<ItemsQuery, 'limit' | 'cursor'>, path: string): Search {
  const faults: FieldError[] = []
  const time = (name: 'from' | 'to') => {
    const given = filter[name]
    if (given === undefined) return undefined
    const ms = timeToMs(given)
    if (Number.isNaN(ms)) faults.push({ path: `${path}/${name}`, message: 'is not a date that exists' })
    return ms
  }
  const [fromMs, toMs] = [time('from'), time('to')]
  const [fault] = faults
  if (fault) throw invalidRequest(`${fault.path} ${fault.message}.`, { errors: faults })
  if (fromMs !== undefined && toMs !== undefined && fromMs >= toMs) refuse(`${path}/to`, 'must be later than from')
  const statuses = filter.status === undefined ? undefined : [filter.status]
  return { reason: filter.reason, event: filter.event, statuses, fromMs, toMs }
}

function readCursor(cursor: string | undefined, name: string, path: string) {
  if (cursor === undefined) return undefined
  return decodeCursor(cursor, name) ?? refuse(path, 'is not a cursor of this search')
}

const CHUNK_ITEMS = 500
const CHUNK_BYTES = 4 * 1024 * 1024

/** The items of one call in groups that fit into memory and into one admission. */
export function* chunksOf(keys: readonly Static<typeof KeyRow>[]): Generator<string[]> {
  let chunk: string[] = []
  let bytes = 0
  for (const key of keys) {
    if (chunk.length > 0 && (chunk.length === CHUNK_ITEMS || bytes + key.bytes > CHUNK_BYTES)) {
      yield chunk
      chunk = []
      bytes = 0
    }
    chunk.push(key.messageId)
    bytes += key.bytes
  }
  if (chunk.length > 0) yield chunk
}
