import { and, asc, eq, gt, inArray, ne, notExists } from 'drizzle-orm'
import { alias } from 'drizzle-orm/pg-core'
import type { SystemTx, TenantTx } from '../../infra/postgres.ts'
import { memberships, organizations, roles } from './tables.ts'

export type OrganizationRow = typeof organizations.$inferSelect

const ofMembership = and(eq(roles.organizationId, memberships.organizationId), eq(roles.id, memberships.roleId))

/** The membership of a user in the organization of the transaction, with what the role allows and whether anything is allowed. */
export async function findMembership(tx: TenantTx, userId: string) {
  const [membership] = await tx
    .select({
      role: memberships.role,
      roleId: memberships.roleId,
      permissions: roles.permissions,
      frozenAt: organizations.frozenAt,
      frozenReason: organizations.frozenReason,
      requiresSecondFactor: organizations.requiresSecondFactor,
    })
    .from(memberships)
    .innerJoin(organizations, eq(organizations.id, memberships.organizationId))
    .leftJoin(roles, ofMembership)
    .where(eq(memberships.userId, userId))
  return membership
}

const organizationsOf = (tx: SystemTx) =>
  tx
    .select({ organization: organizations, role: memberships.role, roleId: memberships.roleId })
    .from(memberships)
    .innerJoin(organizations, eq(organizations.id, memberships.organizationId))

/** All organizations of a user, with the user's role. */
export function listMemberships(tx: SystemTx, userId: string) {
  return organizationsOf(tx).where(eq(memberships.userId, userId)).orderBy(asc(organizations.id))
}

/** The same, a page of them; `after` is the id of the last organization of the page before. */
export function pageMemberships(tx: SystemTx, userId: string, page: { limit: number; after: string }) {
  return organizationsOf(tx)
    .where(and(eq(memberships.userId, userId), gt(organizations.id, page.after)))
    .orderBy(asc(organizations.id))
    .limit(page.limit)
}

/** The organization of the transaction. */
export async function findOrganization(tx: TenantTx, id: string): Promise<OrganizationRow | undefined> {
  const [organization] = await tx.select().from(organizations).where(eq(organizations.id, id))
  return organization
}

/**
 * Makes everybody else who wants to change the members of this organization wait until the transaction is over. What the
 * transaction reads afterwards is what they left.
 */
export async function lockOrganization(tx: TenantTx, id: string): Promise<void> {
  await tx.select({ id: organizations.id }).from(organizations).where(eq(organizations.id, id)).for('no key update')
}

export async function updateOrganization(
  tx: TenantTx,
  id: string,
  change: { name: string; requiresSecondFactor: boolean },
): Promise<OrganizationRow | undefined> {
  const [organization] = await tx.update(organizations).set(change).where(eq(organizations.id, id)).returning()
  return organization
}

export async function insertOrganization(
  tx: SystemTx,
  organization: typeof organizations.$inferInsert,
): Promise<OrganizationRow> {
  const [row] = await tx.insert(organizations).values(organization).returning()
  if (!row) throw new Error('the inserted organization was not returned')
  return row
}

/** Adds a member, unless they are one; says whether it did. */
export async function joinOrganization(tx: SystemTx, membership: typeof memberships.$inferInsert): Promise<boolean> {
  const { rowCount } = await tx.insert(memberships).values(membership).onConflictDoNothing()
  return rowCount === 1
}

export async function insertMembership(tx: SystemTx, membership: typeof memberships.$inferInsert): Promise<void> {
  await tx.insert(memberships).values(membership)
}

/** Locks all organizations of a person. The order of the ids is everybody's, so that two who leave at once wait and do not block each other. */
export async function lockOrganizationsOf(tx: SystemTx, userId: string): Promise<void> {
  const own = tx.select({ id: memberships.organizationId }).from(memberships).where(eq(memberships.userId, userId))
  await tx
    .select({ id: organizations.id })
    .from(organizations)
    .where(inArray(organizations.id, own))
    .orderBy(asc(organizations.id))
    .for('no key update')
}

/** The organizations that have this person for an owner and nobody else. */
export function listOwnedAlone(tx: SystemTx, userId: string) {
  const others = alias(memberships, 'others')
  const anotherOwner = tx
    .select({ id: others.id })
    .from(others)
    .where(and(eq(others.organizationId, organizations.id), eq(others.role, 'owner'), ne(others.userId, userId)))
  return tx
    .select({ name: organizations.name })
    .from(memberships)
    .innerJoin(organizations, eq(organizations.id, memberships.organizationId))
    .where(and(eq(memberships.userId, userId), eq(memberships.role, 'owner'), notExists(anotherOwner)))
    .orderBy(asc(organizations.id))
}

/** Takes a person out of every organization; gives the ids, in order. */
export async function deleteMemberships(tx: SystemTx, userId: string): Promise<string[]> {
  const ended = await tx
    .delete(memberships)
    .where(eq(memberships.userId, userId))
    .returning({ organizationId: memberships.organizationId })
  return ended.map(({ organizationId }) => organizationId).sort()
}

/** All members of the organization of the transaction. */
export async function listMemberIds(tx: TenantTx): Promise<string[]> {
  return (await tx.select({ userId: memberships.userId }).from(memberships)).map(({ userId }) => userId)
}
