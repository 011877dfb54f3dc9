import type { ClickHouse } from '../../../infra/clickhouse.ts'
import { formatDecimal, parseDecimal, roundDecimal } from '../money/decimal.ts'
import type { Measure } from './measure.ts'
import { type Dimension, type Extent, measureStatement, rowsStatement } from './queries.ts'
import type { Aggregation } from './schemas.ts'

/** What a meter says of some events. */
export interface Measured {
  /** Exact, as a decimal. */
  value: string
  /** How many events it is made of. */
  rowCount: bigint
  /** How many more there are that have no value which the meter could use. */
  skipped: bigint
  /** Over identity, times and value of each event; depends on no order, and those of parts sum to that of the whole. */
  contentHash: string
}

export interface MeasuredPart extends Measured {
  /** Where the part stands, in the order of the dimensions. */
  keys: string[]
}

const DAY_MS = 86_400_000
/** How many days one statement measures at most: it has to end in time for a large organization on a busy machine, too. */
const DAYS_PER_STATEMENT = 4

/** What meters say of an organization, always from the events themselves. */
export function createMeasuring({ clickhouse }: { clickhouse: Pick<ClickHouse, 'queryOrganization'> }) {
  async function measureOnce(
    organizationId: string,
    measure: Measure,
    extent: Extent,
    by: readonly Dimension[],
  ): Promise<MeasuredPart[]> {
    const { rows } = await clickhouse.queryOrganization(organizationId, measureStatement(measure, extent, by))
    return rows.map(({ keys, value, counted, skipped, hash }) => ({
      keys,
      value,
      rowCount: BigInt(counted),
      skipped: BigInt(skipped),
      contentHash: hexOf(BigInt(hash)),
    }))
  }

  async function split(
    organizationId: string,
    measure: Measure,
    extent: Extent,
    by: readonly Dimension[],
  ): Promise<MeasuredPart[]> {
    const isApart = by.includes('hour') || by.includes('day')
    // Which values are different shows only when all of them are looked at together.
    if (measure.aggregation === 'unique' && !isApart) return measureOnce(organizationId, measure, extent, by)
    const merged = new Map<string, MeasuredPart>()
    for (const piece of piecesOf(extent)) {
      for (const part of await measureOnce(organizationId, measure, piece, by)) {
        const key = JSON.stringify(part.keys)
        const before = merged.get(key)
        merged.set(key, before ? join(measure, before, part) : part)
      }
    }
    return [...merged.values()]
  }

  return {
    split,

    /** The events behind a measure, one by one; see `rowsStatement`. */
    async rows(organizationId: string, measure: Measure, extent: Extent, page: Parameters<typeof rowsStatement>[2]) {
      const { rows } = await clickhouse.queryOrganization(organizationId, rowsStatement(measure, extent, page))
      return rows
    },

    async whole(organizationId: string, measure: Measure, extent: Extent): Promise<Measured> {
      const [row] = await split(organizationId, measure, extent, [])
      if (!row) throw new Error('an aggregate without groups has one row')
      const { keys: _, ...measured } = row
      return measured
    },
  }
}

/** An extent in pieces that begin at midnight, in order, as copies of an event share the day. */
function piecesOf(extent: Extent): Extent[] {
  const pieces: Extent[] = []
  for (let fromMs = extent.fromMs; fromMs < extent.toMs || pieces.length === 0; ) {
    const endMs = (Math.floor(fromMs / DAY_MS) + DAYS_PER_STATEMENT) * DAY_MS
    const toMs = Math.min(extent.toMs, endMs)
    pieces.push({ ...extent, fromMs, toMs })
    fromMs = endMs
  }
  return pieces
}

/** The measure of two parts together, of which the second one is later. */
function join({ aggregation }: Measure, before: MeasuredPart, after: MeasuredPart): MeasuredPart {
  return {
    keys: before.keys,
    value: valueOfBoth(aggregation, before, after),
    rowCount: before.rowCount + after.rowCount,
    skipped: before.skipped + after.skipped,
    contentHash: hexOf((BigInt(`0x${before.contentHash}`) + BigInt(`0x${after.contentHash}`)) % HASHES),
  }
}

function valueOfBoth(aggregation: Aggregation, before: Measured, after: Measured): string {
  if (after.rowCount === 0n) return before.value
  if (before.rowCount === 0n || aggregation === 'latest') return after.value
  const [one, other] = [parseDecimal(before.value), parseDecimal(after.value)]
  if (aggregation === 'max') return one > other ? before.value : after.value
  if (aggregation === 'unique') throw new Error('values that are different in two parts may be the same in both')
  return formatDecimal(one + other)
}

const HASHES = 2n ** 256n
const hexOf = (hash: bigint) => hash.toString(16).padStart(64, '0')

/** What is priced: whole units, the nearest, a half away from zero; what is below zero costs as much as nothing. */
export function quantityOf({ value }: Pick<Measured, 'value'>): bigint {
  const quantity = roundDecimal(parseDecimal(value))
  return quantity > 0n ? quantity : 0n
}
