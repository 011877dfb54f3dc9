import type { FieldError } from '../../../errors.ts'
import type { Price } from './price.ts'

/** What a schema cannot say: tiers follow each other without a gap, and the last has no end. */
export function priceFaults(price: Price, path: string): FieldError[] {
  if (price.model !== 'graduated' && price.model !== 'volume') return []
  const { tiers } = price
  return tiers.flatMap(({ upTo }, index) => {
    const isLast = index === tiers.length - 1
    const at = `${path}/tiers/${index}/upTo`
    if (isLast) return upTo === null ? [] : [{ path: at, message: 'must be null in the last tier' }]
    if (upTo === null) return [{ path: at, message: 'may be null in the last tier only' }]
    const before = tiers[index - 1]?.upTo ?? '0'
    return BigInt(upTo) > BigInt(before) ? [] : [{ path: at, message: 'must be above the tier before' }]
  })
}
