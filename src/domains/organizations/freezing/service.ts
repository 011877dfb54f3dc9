import type { Acting } from '../../../http/acting.ts'
import { append } from '../../../infra/outbox.ts'
import type { Postgres } from '../../../infra/postgres.ts'
import { record } from '../../audit/index.ts'
import { alreadyFrozen, noSuchOrganization } from '../errors.ts'
import { FREEZE_CHANGED } from '../fact-kinds.ts'
import { lockFreeze, writeFreeze } from './store.ts'

export type FreezingService = ReturnType<typeof createFreezingService>

/**
 * Stops an organization and lets it go on. Its keys are refused within a second normally, five at the most, in every process; its
 * members from their next request. What they sent before stays, is stored and counted. The organization reads of it in its own log.
 * Only the system role may write it, so that no way through an organization's own transactions leads out of the cold.
 */
export function createFreezingService({ postgres }: { postgres: Postgres }) {
  const change = (organizationId: string, reason: string | null, by: Acting): Promise<void> =>
    postgres.withSystem(async (tx) => {
      const organization = await lockFreeze(tx, organizationId)
      if (!organization) throw noSuchOrganization()
      const isFrozen = reason !== null
      if ((organization.frozenAt !== null) === isFrozen)
        throw alreadyFrozen(`The organization is ${isFrozen ? 'frozen already' : 'not frozen'}.`)
      await writeFreeze(tx, organizationId, { frozenAt: isFrozen ? new Date() : null, frozenReason: reason })
      await append(tx, { organizationId, kind: FREEZE_CHANGED, payload: { frozen: isFrozen } })
      const target = { kind: 'organization', id: organizationId }
      const act = isFrozen
        ? { action: 'organization.frozen', after: { reason } }
        : { action: 'organization.unfrozen', before: { reason: organization.frozenReason } }
      await record(tx, { organizationId, by, target, ...act })
    })

  return {
    freeze: (organizationId: string, reason: string, by: Acting) => change(organizationId, reason, by),
    unfreeze: (organizationId: string, by: Acting) => change(organizationId, null, by),
  }
}
