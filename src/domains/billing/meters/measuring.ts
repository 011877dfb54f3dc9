import type { ClickHouse } from '../../../infra/clickhouse.ts'
import { parseDecimal, roundDecimal } from '../money/decimal.ts'
import type { Measure } from './measure.ts'
import { type Dimension, type Extent, measureStatement, rowsStatement } from './queries.ts'

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

/** What meters say of an organization, always from the events themselves. */
export function createMeasuring({ clickhouse }: { clickhouse: Pick<ClickHouse, 'queryOrganization'> }) {
  async function split(
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
      contentHash: BigInt(hash).toString(16).padStart(64, '0'),
    }))
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

/** What is priced: whole units, the nearest, a half away from zero; what is below zero costs as much as nothing. */
export function quantityOf({ value }: Pick<Measured, 'value'>): bigint {
  const quantity = roundDecimal(parseDecimal(value))
  return quantity > 0n ? quantity : 0n
}
