import { forbidden } from '../../errors.ts'
import type { OrganizationScope } from '../../http/access.ts'
import type { TenantTx } from '../../infra/postgres.ts'
import { builtIn, type HeldRole, mayDo, nameOf, type OrganizationRole } from './roles.ts'

/**
 * Changes the members of an organization, one change after the other. The role of whoever asks is read again once it is their turn:
 * the guard let them in by what it was before, and an earlier change may have taken it away.
 */
export type Alone = <T>(scope: OrganizationScope, change: (tx: TenantTx, own: HeldRole) => Promise<T>) => Promise<T>

/**
 * Throws 403 for a role that does not manage members, or that lacks a permission of the one that is given or taken. Owners have no
 * permission that admins lack, and are above them all the same.
 */
export function assertManages(own: HeldRole, concerned: HeldRole | OrganizationRole): void {
  if (!mayDo(own, 'members:write')) throw forbidden('Your role lacks the permission members:write.')
  const theirs = typeof concerned === 'string' ? builtIn(concerned) : concerned
  if (!isWithin(own, theirs)) throw forbidden(`The role ${nameOf(theirs)} is above yours.`)
}

/** Whether `assertManages` would let it pass. */
export const manages = (own: HeldRole, concerned: OrganizationRole): boolean =>
  mayDo(own, 'members:write') && isWithin(own, builtIn(concerned))

function isWithin(own: HeldRole, theirs: HeldRole): boolean {
  if (theirs.role === 'owner' && own.role !== 'owner') return false
  return theirs.permissions.every((permission) => mayDo(own, permission))
}

/** Throws 403 for everybody but an owner. */
export function assertOwner({ role }: HeldRole): void {
  if (role !== 'owner') throw forbidden('Only an owner may do this.')
}
