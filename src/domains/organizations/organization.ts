import { type HeldRole, nameOf } from './roles.ts'
import type { Organization } from './schemas.ts'

interface Row {
  id: string
  name: string
  createdAt: Date
  deletesAt: Date | null
  frozenAt: Date | null
  frozenReason: string | null
  requiresSecondFactor: boolean
}

/** An organization as it is shown to a member with this role. */
export function toOrganization(row: Row, role: Pick<HeldRole, 'role' | 'roleId'>): Organization {
  const { id, name, createdAt, deletesAt, frozenAt, frozenReason, requiresSecondFactor } = row
  const frozen = frozenAt && { since: frozenAt.toISOString(), reason: frozenReason ?? '' }
  const [made, deletes] = [createdAt.toISOString(), deletesAt?.toISOString() ?? null]
  return { id, name, role: nameOf(role), requiresSecondFactor, createdAt: made, deletesAt: deletes, frozen }
}
