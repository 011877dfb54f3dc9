import type { SystemTx } from '../../infra/postgres.ts'
import { record } from '../audit/index.ts'
import type { OrganizationsService } from '../organizations/index.ts'
import type { Device } from './device.ts'

export type SignInLog = ReturnType<typeof createSignInLog>

/** What a person did, what was tried in their name, or which ways into their account came and went. */
interface Happening {
  action: string
  /** Left out of what concerns the account and no session of it. */
  sessionId?: string
  /** The way into the account that it is about. */
  identityId?: string
  before?: Record<string, unknown>
  after?: Record<string, unknown>
  /** The organizations to tell where the person has just left them. */
  organizationIds?: readonly string[]
}

/**
 * Tells every organization of a person how they come and go, and what becomes of their account. Belongs at the end of a transaction, as
 * `record` does.
 */
export function createSignInLog(organizations: OrganizationsService) {
  return async (tx: SystemTx, userId: string, { ip, userAgent }: Device, happening: Happening): Promise<void> => {
    const { action, sessionId, before, after, organizationIds } = happening
    const by = {
      principal: { kind: 'session', userId, sessionId: sessionId ?? '', expiresAtMs: 0 },
      ip,
      userAgent,
    } as const
    const target = targetOf(userId, happening)
    const act = { by, action, target, ...(before && { before }), ...(after && { after }) }
    for (const organizationId of organizationIds ?? (await organizations.organizationIdsOf(tx, userId))) {
      await record(tx, { organizationId, ...act })
    }
  }
}

function targetOf(userId: string, { sessionId, identityId }: Happening): { kind: string; id: string } {
  if (sessionId) return { kind: 'session', id: sessionId }
  return identityId ? { kind: 'identity', id: identityId } : { kind: 'user', id: userId }
}
