import { and, asc, eq, inArray, ne, notExists } from 'drizzle-orm'
import { alias } from 'drizzle-orm/pg-core'
import { append } from '../../infra/outbox.ts'
import type { SystemTx } from '../../infra/postgres.ts'
import { lastOwner } from './errors.ts'
import { MEMBERSHIP_ENDED } from './fact-kinds.ts'
import { memberships, organizations } from './tables.ts'

/**
 * Takes a person out of every organization, inside a transaction of the caller's, who keeps them from joining another meanwhile. Throws
 * 409 with the names of those that would be left without an owner. Gives the ids, in order.
 */
export async function leaveAll(tx: SystemTx, userId: string): Promise<string[]> {
  const own = tx.select({ id: memberships.organizationId }).from(memberships).where(eq(memberships.userId, userId))
  // The order of the ids is everybody's order, so that two who leave at once wait and do not block each other.
  await tx
    .select({ id: organizations.id })
    .from(organizations)
    .where(inArray(organizations.id, own))
    .orderBy(asc(organizations.id))
    .for('no key update')
  const left = await organizationsOwnedAlone(tx, userId)
  if (left.length > 0) {
    const names = left.map(({ name }) => `“${name}”`).join(', ')
    throw lastOwner(`You are the only owner of ${names}. Make somebody else an owner first.`)
  }
  const ended = await tx
    .delete(memberships)
    .where(eq(memberships.userId, userId))
    .returning({ organizationId: memberships.organizationId })
  const organizationIds = ended.map(({ organizationId }) => organizationId).sort()
  for (const organizationId of organizationIds) {
    await append(tx, { organizationId, kind: MEMBERSHIP_ENDED, payload: { userId } })
  }
  return organizationIds
}

function organizationsOwnedAlone(tx: SystemTx, userId: string) {
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
