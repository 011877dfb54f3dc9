import { invalidRequest } from '../../../errors.ts'
import type { OrganizationScope } from '../../../http/access.ts'
import type { Acting } from '../../../http/acting.ts'
import { append } from '../../../infra/outbox.ts'
import type { TenantTx } from '../../../infra/postgres.ts'
import { record } from '../../audit/index.ts'
import { noSuchOrganization, notBeingDeleted } from '../errors.ts'
import { KEYS_SWITCHED } from '../fact-kinds.ts'
import { type Alone, assertOwner } from '../manages.ts'
import { toOrganization } from '../organization.ts'
import { builtIn } from '../roles.ts'
import type { Organization } from '../schemas.ts'
import { findOrganization } from '../store.ts'
import { isWithinGrace, writeDeletesAt } from './store.ts'

export type DeletionService = ReturnType<typeof createDeletionService>

/** The end of an organization: asked for by an owner, and taken back by one for as long as the grace lasts. */
export function createDeletionService({ alone, graceMs }: { alone: Alone; graceMs: number }) {
  async function change(tx: TenantTx, organizationId: string, deletesAt: Date | null, by: Acting, action: string) {
    const row = await writeDeletesAt(tx, organizationId, deletesAt)
    if (!row) throw noSuchOrganization()
    await append(tx, { organizationId, kind: KEYS_SWITCHED, payload: {} })
    const target = { kind: 'organization', id: organizationId }
    await record(tx, { organizationId, by, action, target, after: { deletesAt: deletesAt?.toISOString() ?? null } })
    return toOrganization(row, builtIn('owner'))
  }

  return {
    /** Has an organization deleted after the grace. Its keys stop acting at once; asked again, the first time stands. */
    ask: ({ organizationId, userId }: OrganizationScope, name: string, by: Acting): Promise<Organization> =>
      alone({ organizationId, userId }, async (tx, own) => {
        assertOwner(own)
        const row = await findOrganization(tx, organizationId)
        if (!row) throw noSuchOrganization()
        if (row.name !== name) throw anotherName()
        if (row.deletesAt) return toOrganization(row, own)
        return change(tx, organizationId, new Date(Date.now() + graceMs), by, 'organization.deletion_asked')
      }),

    /** Takes that back. */
    cancel: ({ organizationId, userId }: OrganizationScope, by: Acting): Promise<Organization> =>
      alone({ organizationId, userId }, async (tx, own) => {
        assertOwner(own)
        if (!(await isWithinGrace(tx, organizationId)))
          throw notBeingDeleted('Nobody has asked for it, or the grace is over.')
        return change(tx, organizationId, null, by, 'organization.deletion_cancelled')
      }),
  }
}

const anotherName = () =>
  invalidRequest('Send the name of the organization that is to be deleted.', {
    errors: [{ path: '/name', message: 'is not the name of the organization' }],
  })
