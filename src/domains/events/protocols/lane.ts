import type { Lane } from '../buffer.ts'
import { fieldsOr } from './foreign.ts'

/** The lane that a client asks for: Segment's address for imports, or the flag that PostHog's clients set on a migration. */
export function laneOf(url: string, body: unknown): Exclude<Lane, 'quarantine'> {
  const { historicalMigration, historical_migration } = fieldsOr(body)
  return url === '/v1/import' || historicalMigration === true || historical_migration === true ? 'import' : 'live'
}
