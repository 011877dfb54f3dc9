import { asc, eq } from 'drizzle-orm'
import type { SystemTx, TenantTx } from '../../infra/postgres.ts'
import { memberships, organizations } from './tables.ts'

/** The membership of a user in the organization of the transaction. */
export async function findMembership(tx: TenantTx, userId: string) {
  const [membership] = await tx.select().from(memberships).where(eq(memberships.userId, userId))
  return membership
}

export function listMemberships(tx: SystemTx, userId: string) {
  return tx
    .select({ organizationId: organizations.id, name: organizations.name, role: memberships.role })
    .from(memberships)
    .innerJoin(organizations, eq(organizations.id, memberships.organizationId))
    .where(eq(memberships.userId, userId))
    .orderBy(asc(organizations.id))
}

export async function insertOrganization(tx: SystemTx, organization: typeof organizations.$inferInsert): Promise<void> {
  await tx.insert(organizations).values(organization)
}

export async function insertMembership(tx: SystemTx, membership: typeof memberships.$inferInsert): Promise<void> {
  await tx.insert(memberships).values(membership)
}
