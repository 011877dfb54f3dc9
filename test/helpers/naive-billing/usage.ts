import type { Counting, Receipt } from './ledger.ts'

/** The first copy of each event, and nothing of what was sent again. */
export function firstCopies(receipts: readonly Receipt[]): Receipt[] {
  const first = new Map<string, Receipt>()
  for (const receipt of receipts) {
    const key = `${receipt.projectId}/${receipt.messageId}`
    const known = first.get(key)
    if (!known || receipt.receivedAtMs < known.receivedAtMs) first.set(key, receipt)
  }
  return [...first.values()]
}

/** What a meter says of the events of a time that had come by another. */
export function quantityOf(
  copies: readonly Receipt[],
  counting: Counting,
  { fromMs, toMs, comeByMs }: { fromMs: number; toMs: number; comeByMs: number },
): bigint {
  let quantity = 0n
  for (const copy of copies) {
    if (copy.timestampMs < fromMs || copy.timestampMs >= toMs || copy.receivedAtMs > comeByMs) continue
    if (counting.of !== 'all' && copy.event !== counting.event) continue
    quantity += counting.of === 'seats' ? copy.seats : 1n
  }
  return quantity
}
