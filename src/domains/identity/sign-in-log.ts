import type { SystemTx } from '../../infra/postgres.ts'
import { record } from '../audit/index.ts'
import type { OrganizationsService } from '../organizations/index.ts'
import type { Device } from './device.ts'

export type SignInLog = ReturnType<typeof createSignInLog>

/** Tells every organization of a person how they come and go. Belongs at the end of a transaction, as `record` does. */
export function createSignInLog(organizations: OrganizationsService) {
  return async (
    tx: SystemTx,
    userId: string,
    { ip, userAgent }: Device,
    act: { action: string; sessionId: string; after?: Record<string, unknown> },
  ): Promise<void> => {
    const { action, sessionId, after } = act
    const by = { principal: { kind: 'session', userId, sessionId, expiresAtMs: 0 }, ip, userAgent } as const
    const target = { kind: 'session', id: sessionId }
    for (const organizationId of await organizations.organizationIdsOf(tx, userId)) {
      await record(tx, { organizationId, by, action, target, ...(after && { after }) })
    }
  }
}
