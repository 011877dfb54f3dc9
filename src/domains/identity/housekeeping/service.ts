import type { Postgres } from '../../../infra/postgres.ts'
import { pruneProofs } from '../accounts/store.ts'
import { prunePending } from '../second-factor/store.ts'
import { pruneSessions } from '../sessions/store.ts'

const DAY_MS = 24 * 3_600_000
const KEEP_ENDED_MS = 30 * DAY_MS

/** Deletes links that are too old to be used, sessions that have been over for a month, and second factors left unconfirmed for a day. */
export function prune(postgres: Postgres): Promise<void> {
  return postgres.withSystem(async (tx) => {
    await pruneProofs(tx)
    await prunePending(tx, new Date(Date.now() - DAY_MS))
    await pruneSessions(tx, new Date(Date.now() - KEEP_ENDED_MS))
  })
}
