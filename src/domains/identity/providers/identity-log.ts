import type { SystemTx } from '../../../infra/postgres.ts'
import { record } from '../../audit/index.ts'
import type { OrganizationsService } from '../../organizations/index.ts'
import type { Device } from '../device.ts'

export type IdentityLog = ReturnType<typeof createIdentityLog>

/** Tells every organization of a person which ways into the account come and go. Belongs at the end of a transaction, as `record` does. */
export function createIdentityLog(organizations: OrganizationsService) {
  return async (
    tx: SystemTx,
    { ip, userAgent }: Device,
    action: 'identity.linked' | 'identity.unlinked',
    { id, userId, providerId }: { id: string; userId: string; providerId: string },
  ): Promise<void> => {
    const by = { principal: { kind: 'session', userId, sessionId: '', expiresAtMs: 0 }, ip, userAgent } as const
    const change = action === 'identity.linked' ? { after: { providerId } } : { before: { providerId } }
    for (const organizationId of await organizations.organizationIdsOf(tx, userId)) {
      await record(tx, { organizationId, by, action, target: { kind: 'identity', id }, ...change })
    }
  }
}
