import type { Postgres } from '../../../infra/postgres.ts'
import { pruneProofs } from '../accounts/store.ts'
import { pruneSessions } from '../sessions/store.ts'

const KEEP_ENDED_MS = 30 * 24 * 3_600_000

/** Deletes links that are too old to be used, and sessions that have been over for a month. */
export function prune(postgres: Postgres): Promise<void> {
  return postgres.withSystem(async (tx) => {
    await pruneProofs(tx)
    await pruneSessions(tx, new Date(Date.now() - KEEP_ENDED_MS))
  })
}
