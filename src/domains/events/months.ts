import { setImmediate as turn } from 'node:timers/promises'
import { type BufferEntry, newRows } from './buffer.ts'
import { readTime } from './row.ts'

/** Most months that one insert touches: each is a partition of `events`, and a part to be written and merged. */
export const MONTHS_MAX = 12

const DAY_MS = 86_400_000
const CHUNK_BYTES = 128 * 1024

/**
 * Sorts rows of events into groups of whole months, each of at most MONTHS_MAX of them, in the order of time. The same rows always fall
 * into the same groups, so a group's place can name it in a token.
 */
export function createMonths() {
  const months = new Map<number, Buffer[]>()
  const monthsOfDays = new Map<number, number>()

  function monthOf(day: number): number {
    let month = monthsOfDays.get(day)
    if (month === undefined) {
      const date = new Date(day * DAY_MS)
      month = date.getUTCFullYear() * 12 + date.getUTCMonth()
      monthsOfDays.set(day, month)
    }
    return month
  }

  return {
    add(row: Buffer): void {
      const month = monthOf(Math.floor(readTime(row, 'timestamp') / DAY_MS))
      const rows = months.get(month)
      if (rows) rows.push(row)
      else months.set(month, [row])
    },

    groups(): Buffer[][] {
      const ordered = [...months.entries()].sort(([left], [right]) => left - right).map(([, rows]) => rows)
      const groups: Buffer[][] = []
      for (let at = 0; at < ordered.length; at += MONTHS_MAX) groups.push(ordered.slice(at, at + MONTHS_MAX).flat())
      return groups
    },
  }
}

/** The groups of a batch. Live requests of the same process get their turn after each entry. */
export async function groupsOf(entries: readonly BufferEntry[]): Promise<Buffer[][]> {
  const months = createMonths()
  for (const entry of entries) {
    for (const row of newRows(entry)) months.add(row)
    await turn()
  }
  return months.groups()
}

/** Rows as a body of few and not too large pieces: each is copied only when the connection takes it. */
export function* bodyOf(rows: readonly Buffer[]): Generator<Buffer> {
  let first = 0
  let bytes = 0
  for (let index = 0; index < rows.length; index++) {
    bytes += rows[index]?.length ?? 0
    if (bytes < CHUNK_BYTES && index < rows.length - 1) continue
    yield Buffer.concat(rows.slice(first, index + 1), bytes)
    first = index + 1
    bytes = 0
  }
}
