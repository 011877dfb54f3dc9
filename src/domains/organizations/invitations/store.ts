import { and, asc, eq, gt, inArray, sql } from 'drizzle-orm'
import type { SystemTx, TenantTx } from '../../../infra/postgres.ts'
import { invitations, memberships, organizations } from '../tables.ts'

export type InvitationRow = typeof invitations.$inferSelect

const isOpen = gt(invitations.expiresAt, sql`now()`)
const toAddress = (email: string) => sql`${invitations.email} = lower(${email})`

/** Writes an invitation down, unless the address has an open one; one that is too old makes room. */
export async function insertInvitation(
  tx: TenantTx,
  invitation: typeof invitations.$inferInsert,
): Promise<InvitationRow | undefined> {
  await tx.delete(invitations).where(and(toAddress(invitation.email), sql`not ${isOpen}`))
  const [row] = await tx
    .insert(invitations)
    .values({ ...invitation, email: sql`lower(${invitation.email})` })
    .onConflictDoNothing()
    .returning()
  return row
}

/** Open invitations in the order in which they were made; `after` is the id of the last one of the page before. */
export function listInvitations(tx: TenantTx, page: { limit: number; after: string }): Promise<InvitationRow[]> {
  return tx
    .select()
    .from(invitations)
    .where(and(isOpen, gt(invitations.id, page.after)))
    .orderBy(asc(invitations.id))
    .limit(page.limit)
}

/** An open invitation of the organization of the transaction, which waits for whoever is about to change or use it. */
export async function lockInvitation(tx: TenantTx, id: string): Promise<InvitationRow | undefined> {
  const [row] = await tx
    .select()
    .from(invitations)
    .where(and(eq(invitations.id, id), isOpen))
    .for('update')
  return row
}

export async function extendInvitation(tx: TenantTx, id: string, expiresAt: Date): Promise<void> {
  await tx.update(invitations).set({ expiresAt }).where(eq(invitations.id, id))
}

export async function deleteInvitation(tx: TenantTx, id: string): Promise<void> {
  await tx.delete(invitations).where(eq(invitations.id, id))
}

/** Takes back what a member has offered of these roles. */
export async function deleteInvitationsBy(tx: TenantTx, userId: string, roles: InvitationRow['role'][]): Promise<void> {
  await tx.delete(invitations).where(and(eq(invitations.invitedBy, userId), inArray(invitations.role, roles)))
}

/** Whether the address is one of a member of the organization of the transaction. */
export async function isMember(tx: TenantTx, email: string): Promise<boolean> {
  const rows = await tx
    .select({ id: memberships.id })
    .from(memberships)
    .innerJoin(sql`users`, sql`users.id = ${memberships.userId}`)
    .where(sql`lower(users.email) = lower(${email})`)
  return rows.length > 0
}

export const countMembers = (tx: TenantTx | SystemTx, organizationId: string): Promise<number> =>
  tx.$count(memberships, eq(memberships.organizationId, organizationId))

/** The organization of an open invitation to a person. */
export async function findInvitedTo(tx: SystemTx, tokenHash: string, userId: string): Promise<string | undefined> {
  const theirs = sql`${invitations.email} = (select lower(email) from users where id = ${userId})`
  const [row] = await tx
    .select({ organizationId: invitations.organizationId })
    .from(invitations)
    .where(and(eq(invitations.tokenHash, tokenHash), isOpen, theirs))
  return row?.organizationId
}

/** Uses an invitation up for the person it was sent to: of many who try at once one gets it. */
export async function takeInvitation(
  tx: SystemTx,
  tokenHash: string,
  userId: string,
): Promise<InvitationRow | undefined> {
  const theirs = sql`${invitations.email} = (select lower(email) from users where id = ${userId})`
  const [row] = await tx
    .delete(invitations)
    .where(and(eq(invitations.tokenHash, tokenHash), isOpen, theirs))
    .returning()
  return row
}

const withNames = (tx: SystemTx) =>
  tx
    .select({
      invitation: invitations,
      organizationName: organizations.name,
      inviterName: sql<string>`inviter.name`,
    })
    .from(invitations)
    .innerJoin(organizations, eq(organizations.id, invitations.organizationId))
    .innerJoin(sql`users inviter`, sql`inviter.id = ${invitations.invitedBy}`)

export type NamedInvitation = Awaited<ReturnType<typeof withNames>>[number]

/** An open invitation with the names that its mail says. */
export async function findInvitation(tx: SystemTx, id: string): Promise<NamedInvitation | undefined> {
  const [row] = await withNames(tx).where(and(eq(invitations.id, id), isOpen))
  return row
}

/** Open invitations to the address of a person, a page of them. */
export function listInvitationsTo(tx: SystemTx, userId: string, page: { limit: number; after: string }) {
  const theirs = sql`${invitations.email} = (select lower(email) from users where id = ${userId})`
  return withNames(tx)
    .where(and(theirs, isOpen, gt(invitations.id, page.after)))
    .orderBy(asc(invitations.id))
    .limit(page.limit)
}

export async function pruneInvitations(tx: SystemTx): Promise<void> {
  await tx.delete(invitations).where(sql`not ${isOpen}`)
}
