import { asc, count, eq } from 'drizzle-orm'
import type { TenantTx } from '../../../infra/postgres.ts'
import { memberships, roles } from '../tables.ts'

export type RoleRow = typeof roles.$inferSelect

/** The roles that the organization of the transaction made, oldest first. */
export function listRoles(tx: TenantTx): Promise<RoleRow[]> {
  return tx.select().from(roles).orderBy(asc(roles.id))
}

/** How many members have each role. */
export function countMembers(tx: TenantTx) {
  return tx
    .select({ role: memberships.role, roleId: memberships.roleId, members: count() })
    .from(memberships)
    .groupBy(memberships.role, memberships.roleId)
}

export async function findRole(tx: TenantTx, id: string): Promise<RoleRow | undefined> {
  const [role] = await tx.select().from(roles).where(eq(roles.id, id))
  return role
}

export async function insertRole(
  tx: TenantTx,
  role: Pick<RoleRow, 'organizationId' | 'id' | 'name' | 'permissions'>,
): Promise<RoleRow> {
  const nameKey = role.name.toLowerCase()
  const [row] = await tx
    .insert(roles)
    .values({ ...role, nameKey })
    .returning()
  if (!row) throw new Error('the inserted role was not returned')
  return row
}

export async function updateRole(
  tx: TenantTx,
  id: string,
  { name, permissions }: Pick<RoleRow, 'name' | 'permissions'>,
): Promise<void> {
  await tx.update(roles).set({ name, nameKey: name.toLowerCase(), permissions }).where(eq(roles.id, id))
}

export async function deleteRole(tx: TenantTx, id: string): Promise<void> {
  await tx.delete(roles).where(eq(roles.id, id))
}

export async function membersWith(tx: TenantTx, roleId: string): Promise<string[]> {
  const rows = await tx.select({ userId: memberships.userId }).from(memberships).where(eq(memberships.roleId, roleId))
  return rows.map(({ userId }) => userId)
}
