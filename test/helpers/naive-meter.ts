import { createHash } from 'node:crypto'
import { formatDecimal, parseDecimal } from '../../src/domains/billing/money/decimal.ts'
import type { Pipeline } from './pipeline.ts'

/** A copy of an event as some sink wrote it. */
export interface Copy {
  organizationId: string
  projectId: string
  event: string
  messageId: string
  timestampMs: number
  receivedMs: number
  properties: string
}

export interface NaiveMeter {
  aggregation: 'count' | 'sum' | 'max' | 'unique' | 'latest'
  property?: string
  events?: string[]
}

export interface NaiveExtent {
  organizationId: string
  fromMs: number
  toMs: number
  receivedThroughMs?: number | undefined
  receivedAfterMs?: number | undefined
  projectId?: string | undefined
}

const DAY_MS = 86_400_000

/** The copy of each event that counts: the one that was received first, of all that share name, day and id. */
export function firstCopies(copies: readonly Copy[]): Copy[] {
  const first = new Map<string, Copy>()
  for (const copy of copies) {
    const { organizationId, projectId, event, messageId, timestampMs } = copy
    const identity = JSON.stringify([organizationId, projectId, event, Math.floor(timestampMs / DAY_MS), messageId])
    const known = first.get(identity)
    if (!known || copy.receivedMs < known.receivedMs) first.set(identity, copy)
  }
  return [...first.values()]
}

/** What a meter says, computed one event at a time and without a database. */
export function naiveMeasure(
  { aggregation, property, events }: NaiveMeter,
  extent: NaiveExtent,
  copies: readonly Copy[],
) {
  const chosen = firstCopies(copies).filter(
    (copy) =>
      copy.organizationId === extent.organizationId &&
      (extent.projectId === undefined || copy.projectId === extent.projectId) &&
      copy.timestampMs >= extent.fromMs &&
      copy.timestampMs < extent.toMs &&
      copy.receivedMs <= (extent.receivedThroughMs ?? Number.POSITIVE_INFINITY) &&
      copy.receivedMs > (extent.receivedAfterMs ?? Number.NEGATIVE_INFINITY) &&
      (events === undefined || events.includes(copy.event)),
  )
  const used = chosen.flatMap((copy) => {
    const found = property === undefined ? '' : textOfValue(JSON.parse(copy.properties)[property], aggregation)
    return found === undefined ? [] : [{ copy, found }]
  })
  const numbers = () => used.map(({ found }) => parseDecimal(found))
  const value = {
    count: () => String(used.length),
    sum: () => formatDecimal(numbers().reduce((sum, n) => sum + n, 0n)),
    max: () => formatDecimal(numbers().reduce((most, n, at) => (at === 0 || n > most ? n : most), 0n)),
    unique: () => String(new Set(used.map(({ found }) => found)).size),
    latest: () => used.toSorted((a, b) => compare(orderOf(a.copy), orderOf(b.copy))).at(-1)?.found ?? '0',
  }[aggregation]()
  const hash = used.reduce((sum, { copy, found }) => (sum + hashOf(copy, textOf(found, aggregation))) % 2n ** 256n, 0n)
  return {
    value,
    rowCount: BigInt(used.length),
    skipped: BigInt(chosen.length - used.length),
    contentHash: hash.toString(16).padStart(64, '0'),
  }
}

/** What the hash has of a value: a string as it is, a number as the decimal that is used. */
function textOf(found: string, aggregation: NaiveMeter['aggregation']): string {
  if (aggregation !== 'unique') return found
  const value: unknown = JSON.parse(found)
  if (typeof value === 'string') return value
  return typeof value === 'number' ? formatDecimal(parseDecimal(cut(plainOf(value)))) : found
}

/** Decimal text of a number that can be used, JSON text of any value for `unique`; undefined for what is skipped. */
function textOfValue(value: unknown, aggregation: NaiveMeter['aggregation']): string | undefined {
  if (aggregation === 'unique') return value === undefined || value === null ? undefined : JSON.stringify(value)
  if (typeof value !== 'number' || Math.abs(value) > 1e30) return undefined
  return formatDecimal(parseDecimal(cut(plainOf(value))))
}

/** Digits after the twelfth are cut off. */
const cut = (text: string) => text.replace(/(\.\d{12})\d+$/, '$1')

/** The shortest digits that read as the same number, without an exponent. */
function plainOf(value: number): string {
  const [digits = '', exponent = '0'] = Math.abs(value).toExponential().split('e')
  const [whole = '', fraction = ''] = digits.split('.')
  const [all, point] = [whole + fraction, Number(exponent) + 1]
  const text =
    point <= 0 ? `0.${'0'.repeat(-point)}${all}` : `${all.padEnd(point, '0').slice(0, point)}.${all.slice(point)}0`
  return value < 0 ? `-${text}` : text
}

const orderOf = (copy: Copy) => [copy.timestampMs, copy.receivedMs, copy.messageId, copy.event, copy.projectId] as const

function compare(a: ReturnType<typeof orderOf>, b: ReturnType<typeof orderOf>): number {
  for (const [index, part] of a.entries()) {
    const other = b[index] as number | string
    if (part === other) continue
    if (typeof part === 'number') return part - Number(other)
    return Buffer.compare(Buffer.from(part), Buffer.from(String(other)))
  }
  return 0
}

function hashOf({ projectId, event, messageId, timestampMs, receivedMs }: Copy, found: string): bigint {
  const parts = [projectId, event, messageId, String(timestampMs), String(receivedMs), found]
  const text = parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join('')
  const digest = createHash('sha256').update(text).digest()
  return BigInt(`0x${digest.reverse().toString('hex')}`)
}

const columnTime = (ms: number) => new Date(ms).toISOString().replace('T', ' ').slice(0, -1)

/** Writes copies past the door, as one part. */
export async function storeCopies(
  { clickhouse }: Pick<Pipeline, 'clickhouse'>,
  copies: readonly Copy[],
): Promise<void> {
  if (copies.length === 0) return
  await clickhouse.client.insert({
    table: 'events',
    values: copies.map((copy) => ({
      organization_id: copy.organizationId,
      project_id: copy.projectId,
      event: copy.event,
      message_id: copy.messageId,
      timestamp: columnTime(copy.timestampMs),
      received_at: columnTime(copy.receivedMs),
      properties: copy.properties,
    })),
    format: 'JSONEachRow',
    // An equal part is not dropped as a resend: the table itself has to bear it.
    clickhouse_settings: { insert_deduplicate: 0 },
  })
}
