import type { SQL } from 'drizzle-orm'
import type { Attempt } from './isolation-database.ts'

/** Statements in one transaction, of which the last must touch or give `count` rows, or be refused with this SQLSTATE. */
export interface Probe {
  name: string
  statements: SQL[]
  count?: number
  refused?: string
}

/** One line for each probe that went otherwise than it must. */
export async function violationsOf(who: string, attempt: Attempt, probes: Probe[]): Promise<string[]> {
  const violations: string[] = []
  for (const { name, statements, count, refused } of probes) {
    const outcome = await attempt(...statements)
    const actual = outcome.refused
      ? `was refused (${outcome.refused}: ${outcome.message})`
      : `gave ${outcome.count} rows`
    const isRight = refused === undefined ? !outcome.refused && outcome.count === count : outcome.refused === refused
    if (!isRight) violations.push(`${who}: ${name} ${actual} instead of ${refused ?? `${count} rows`}`)
  }
  return violations
}
