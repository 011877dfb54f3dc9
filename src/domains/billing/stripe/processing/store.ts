import { and, desc, eq, inArray, lt, sql } from 'drizzle-orm'
import type { SystemTx } from '../../../../infra/postgres.ts'
import { stripeEvents, stripeLeases } from '../tables.ts'

export type EventRow = typeof stripeEvents.$inferSelect

/** The type of a row that we wrote ourselves, to have an object read. */
export const READING = 'meterhouse.reading'

/** Has objects read although Stripe has sent no event; `because` makes it one request however often it is made. */
export async function requestReading(tx: SystemTx, objectIds: string[], because: string, now: Date): Promise<void> {
  const row = {
    type: READING,
    createdAt: now,
    livemode: false,
    status: 'pending',
    dueAt: now,
    receivedAt: now,
  } as const
  await insertEvents(
    tx,
    objectIds.map((objectId) => ({ ...row, id: `mh_${because}_${objectId}`, objectId })),
  )
}

/** Resolves to how many were new: Stripe delivers at least once. */
export async function insertEvents(tx: SystemTx, rows: (typeof stripeEvents.$inferInsert)[]): Promise<number> {
  if (rows.length === 0) return 0
  const inserted = await tx.insert(stripeEvents).values(rows).onConflictDoNothing().returning({ id: stripeEvents.id })
  return inserted.length
}

export interface ObjectLease extends Record<string, unknown> {
  objectId: string
  epoch: number
  /** The newest event that the object was read after. */
  readAfter: Date | null
}

/**
 * Takes objects with events that are due and that nobody reads, those that wait longest first. A lease that ran out is taken over under a
 * higher epoch.
 */
export async function takeLeases(
  tx: SystemTx,
  { now, until, limit }: { now: Date; until: Date; limit: number },
): Promise<ObjectLease[]> {
  const { rows } = await tx.execute<{ object_id: string; epoch: string; read_after: string | Date | null }>(sql`
    insert into stripe_leases (object_id, epoch, held_until)
    select e.object_id, 1, ${until.toISOString()}::timestamptz from stripe_events e
    left join stripe_leases l on l.object_id = e.object_id
    where e.status = 'pending' and e.due_at <= ${now.toISOString()}::timestamptz
      and (l.held_until is null or l.held_until <= ${now.toISOString()}::timestamptz)
    group by e.object_id order by min(e.due_at), e.object_id limit ${limit}
    on conflict (object_id) do update set epoch = stripe_leases.epoch + 1, held_until = excluded.held_until
      where stripe_leases.held_until <= ${now.toISOString()}::timestamptz
    returning object_id, epoch, read_after`)
  return rows.map((row) => ({
    objectId: row.object_id,
    epoch: Number(row.epoch),
    readAfter: row.read_after === null ? null : new Date(row.read_after),
  }))
}

/** Gives a lease back, unless somebody has taken it over; `readAfter` only ever grows. */
export async function giveBack(
  tx: SystemTx,
  { objectId, epoch }: ObjectLease,
  { now, readAfter }: { now: Date; readAfter?: Date },
): Promise<void> {
  await tx
    .update(stripeLeases)
    .set({
      heldUntil: now,
      ...(readAfter && { readAfter: sql`greatest(read_after, ${readAfter.toISOString()}::timestamptz)` }),
    })
    .where(and(eq(stripeLeases.objectId, objectId), eq(stripeLeases.epoch, epoch)))
}

export async function pendingOf(tx: SystemTx, objectId: string) {
  return tx
    .select({
      id: stripeEvents.id,
      type: stripeEvents.type,
      createdAt: stripeEvents.createdAt,
      attempts: stripeEvents.attempts,
    })
    .from(stripeEvents)
    .where(and(eq(stripeEvents.objectId, objectId), eq(stripeEvents.status, 'pending')))
}

/** What became of events. One that somebody else has settled stays as it is. */
export async function settleEvents(
  tx: SystemTx,
  ids: string[],
  change: Partial<Pick<EventRow, 'status' | 'attempts' | 'dueAt' | 'error' | 'processedAt'>>,
): Promise<void> {
  if (ids.length === 0) return
  await tx
    .update(stripeEvents)
    .set(change)
    .where(and(inArray(stripeEvents.id, ids), eq(stripeEvents.status, 'pending')))
}

export async function listEvents(
  tx: SystemTx,
  { status, after, limit }: { status: EventRow['status']; after: string | undefined; limit: number },
): Promise<EventRow[]> {
  return tx
    .select()
    .from(stripeEvents)
    .where(and(eq(stripeEvents.status, status), after === undefined ? undefined : lt(stripeEvents.id, after)))
    .orderBy(desc(stripeEvents.id))
    .limit(limit)
}

/** Lets a dead event live again; resolves to whether it was dead. */
export async function reviveEvent(tx: SystemTx, id: string, now: Date): Promise<EventRow | undefined> {
  const [row] = await tx
    .update(stripeEvents)
    .set({ status: 'pending', attempts: 0, dueAt: now, error: null })
    .where(and(eq(stripeEvents.id, id), eq(stripeEvents.status, 'dead')))
    .returning()
  return row
}

/** Events that are settled and old; dead ones stay until somebody has looked at them. */
export async function deleteSettledBefore(tx: SystemTx, before: Date): Promise<void> {
  await tx
    .delete(stripeEvents)
    .where(and(inArray(stripeEvents.status, ['done', 'ignored']), lt(stripeEvents.receivedAt, before)))
}
