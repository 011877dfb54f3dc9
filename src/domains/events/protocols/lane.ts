import { fieldsOr } from './foreign.ts'

/** `import` is history: it waits behind what happens now. */
export type Lane = 'live' | 'import'

/** The lane that a client asks for: Segment's address for imports, or the flag that PostHog's clients set on a migration. */
export function laneOf(url: string, body: unknown): Lane {
  const { historicalMigration, historical_migration } = fieldsOr(body)
  return url === '/v1/import' || historicalMigration === true || historical_migration === true ? 'import' : 'live'
}
