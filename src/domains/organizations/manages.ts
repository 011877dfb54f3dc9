import { forbidden } from '../../errors.ts'
import type { OrganizationScope } from '../../http/access.ts'
import type { TenantTx } from '../../infra/postgres.ts'
import { mayDo, type OrganizationRole, rolesAbove } from './roles.ts'

/**
 * Changes the members of an organization, one change after the other. The role of whoever asks is read again once it is their turn:
 * the guard let them in by what it was before, and an earlier change may have taken it away.
 */
export type Alone = <T>(
  scope: OrganizationScope,
  change: (tx: TenantTx, role: OrganizationRole) => Promise<T>,
) => Promise<T>

/** Throws 403 for a role that does not manage members, or that is below the one that is given or taken. */
export function assertManages(role: OrganizationRole, concerned: OrganizationRole): void {
  if (!mayDo(role, 'members:write')) throw forbidden('Your role lacks the permission members:write.')
  if (rolesAbove(role).includes(concerned)) throw forbidden(`The role ${concerned} is above yours.`)
}

/** Throws 403 for everybody but an owner. */
export function assertOwner(role: OrganizationRole): void {
  if (role !== 'owner') throw forbidden('Only an owner may do this.')
}
