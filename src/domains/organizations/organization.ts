import type { Organization } from './schemas.ts'

interface Row extends Omit<Organization, 'role' | 'createdAt' | 'deletesAt'> {
  createdAt: Date
  deletesAt: Date | null
}

/** An organization as it is shown to a member with this role. */
export function toOrganization({ id, name, createdAt, deletesAt }: Row, role: Organization['role']): Organization {
  return { id, name, role, createdAt: createdAt.toISOString(), deletesAt: deletesAt?.toISOString() ?? null }
}
