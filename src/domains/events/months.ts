import type { BufferEntry } from './buffer.ts'
import { newRows } from './buffer.ts'
import { readTime } from './row.ts'

/** Most months that one insert touches: each is a partition of `events`, and a part to be written and merged. */
export const MONTHS_MAX = 12

const DAY_MS = 86_400_000

/**
 * Rows in groups of whole months, each of at most MONTHS_MAX of them, in the order of time. The same rows always fall into the same
 * groups, so a group's place can name it in a token.
 */
export function groupByMonths<Item>(items: Iterable<Item>, timeOf: (item: Item) => number): Item[][] {
  const months = new Map<number, Item[]>()
  const monthsOfDays = new Map<number, number>()
  for (const item of items) {
    const day = Math.floor(timeOf(item) / DAY_MS)
    let month = monthsOfDays.get(day)
    if (month === undefined) {
      const date = new Date(day * DAY_MS)
      month = date.getUTCFullYear() * 12 + date.getUTCMonth()
      monthsOfDays.set(day, month)
    }
    const rows = months.get(month)
    if (rows) rows.push(item)
    else months.set(month, [item])
  }
  const ordered = [...months.entries()].sort(([left], [right]) => left - right).map(([, rows]) => rows)
  const groups: Item[][] = []
  for (let at = 0; at < ordered.length; at += MONTHS_MAX) groups.push(ordered.slice(at, at + MONTHS_MAX).flat())
  return groups
}

/** The rows of entries of events in such groups. */
export function* rowsOf(entries: Iterable<BufferEntry>): Generator<Buffer> {
  for (const entry of entries) yield* newRows(entry)
}

export const timestampOf = (row: Buffer): number => readTime(row, 'timestamp')
