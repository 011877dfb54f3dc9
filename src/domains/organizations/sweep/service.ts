import { append } from '../../../infra/outbox.ts'
import type { Postgres } from '../../../infra/postgres.ts'
import { deleteDue, listDue } from '../deletion/store.ts'
import { MEMBERSHIP_ENDED, ORGANIZATION_DELETED } from '../fact-kinds.ts'
import { pruneInvitations } from '../invitations/store.ts'

const BATCH = 20

interface Dependencies {
  postgres: Postgres
  /** Deletes what the event store holds of an organization; asked again, it finds less to do. */
  eraseEvents: (organizationId: string) => Promise<void>
}

/**
 * Deletes the organizations whose grace is over, events first: the row in Postgres is what remembers that there is something left to do,
 * so that whatever breaks off is done again from the start. Gives how many were deleted. Invitations
 * that nobody took in time go with them.
 */
export async function sweepOrganizations({ postgres, eraseEvents }: Dependencies): Promise<number> {
  await postgres.withSystem(pruneInvitations)
  const due = await postgres.withSystem((tx) => listDue(tx, BATCH))
  let deleted = 0
  for (const organizationId of due) {
    await eraseEvents(organizationId)
    deleted += await postgres.withSystem(async (tx) => {
      const members = await deleteDue(tx, organizationId)
      if (!members) return 0
      for (const userId of members) await append(tx, { organizationId, kind: MEMBERSHIP_ENDED, payload: { userId } })
      await append(tx, { organizationId, kind: ORGANIZATION_DELETED, payload: {} })
      return 1
    })
  }
  return deleted
}
