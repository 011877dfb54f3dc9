import { and, asc, count, eq, gt, sql } from 'drizzle-orm'
import type { TenantTx } from '../../../infra/postgres.ts'
import { memberships, roles } from '../tables.ts'

// People are another domain's table, of which Postgres shows an organization the names and addresses of its own members.
const membersOf = (tx: TenantTx) =>
  tx
    .select({
      id: memberships.id,
      userId: memberships.userId,
      name: sql<string>`users.name`,
      email: sql<string>`users.email`,
      role: memberships.role,
      roleId: memberships.roleId,
      permissions: roles.permissions,
      createdAt: memberships.createdAt,
    })
    .from(memberships)
    .innerJoin(sql`users`, sql`users.id = ${memberships.userId}`)
    .leftJoin(roles, and(eq(roles.organizationId, memberships.organizationId), eq(roles.id, memberships.roleId)))

export type MemberRow = Awaited<ReturnType<typeof membersOf>>[number]

/** Members in the order in which they came; `after` is the id of the last membership of the page before. */
export function listMembers(tx: TenantTx, page: { limit: number; after: string }): Promise<MemberRow[]> {
  return membersOf(tx).where(gt(memberships.id, page.after)).orderBy(asc(memberships.id)).limit(page.limit)
}

export async function findMember(tx: TenantTx, userId: string): Promise<MemberRow | undefined> {
  const [member] = await membersOf(tx).where(eq(memberships.userId, userId))
  return member
}

export async function countOwners(tx: TenantTx): Promise<number> {
  const [row] = await tx.select({ count: count() }).from(memberships).where(eq(memberships.role, 'owner'))
  return row?.count ?? 0
}

export async function updateRole(
  tx: TenantTx,
  userId: string,
  { role, roleId }: Pick<MemberRow, 'role' | 'roleId'>,
): Promise<void> {
  await tx.update(memberships).set({ role, roleId }).where(eq(memberships.userId, userId))
}

export async function deleteMembership(tx: TenantTx, userId: string): Promise<void> {
  await tx.delete(memberships).where(eq(memberships.userId, userId))
}

/** The people who own the organization of the transaction, in the order in which they came. */
export async function listOwnerIds(tx: TenantTx): Promise<string[]> {
  const owners = await tx
    .select({ userId: memberships.userId })
    .from(memberships)
    .where(eq(memberships.role, 'owner'))
    .orderBy(asc(memberships.id))
  return owners.map(({ userId }) => userId)
}
