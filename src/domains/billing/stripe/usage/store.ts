import { and, asc, eq, gte, isNotNull, isNull, lt, sql } from 'drizzle-orm'
import type { SystemTx, TenantTx } from '../../../../infra/postgres.ts'
import { stripeSubscriptions, stripeUsageOutbox } from '../tables.ts'

export type UsageRow = typeof stripeUsageOutbox.$inferSelect

const of = ({ organizationId, meterKey, hour, revision }: UsageRow) =>
  and(
    eq(stripeUsageOutbox.organizationId, organizationId),
    eq(stripeUsageOutbox.meterKey, meterKey),
    eq(stripeUsageOutbox.hour, hour),
    eq(stripeUsageOutbox.revision, revision),
  )
const isPending = and(isNull(stripeUsageOutbox.sentAt), isNull(stripeUsageOutbox.deadAt))

/** Who has or had a subscription, so that usage may have to be pushed. */
export async function listBilled(tx: SystemTx): Promise<string[]> {
  const rows = await tx
    .selectDistinct({ id: stripeSubscriptions.organizationId })
    .from(stripeSubscriptions)
    .orderBy(asc(stripeSubscriptions.organizationId))
  return rows.map(({ id }) => id)
}

export async function insertFrozen(tx: TenantTx, rows: (typeof stripeUsageOutbox.$inferInsert)[]): Promise<void> {
  if (rows.length > 0) await tx.insert(stripeUsageOutbox).values(rows)
}

/** What is on its way, of one organization after the other, each in the order of its hours. */
export async function listPending(tx: SystemTx, limit: number): Promise<UsageRow[]> {
  return tx
    .select()
    .from(stripeUsageOutbox)
    .where(isPending)
    .orderBy(
      asc(stripeUsageOutbox.attempts),
      asc(stripeUsageOutbox.organizationId),
      asc(stripeUsageOutbox.hour),
      asc(stripeUsageOutbox.revision),
    )
    .limit(limit)
}

/** Before the request: whoever finds the row later knows that it may have arrived. The first time stays. */
export async function markAttempt(tx: TenantTx, row: UsageRow, now: Date): Promise<void> {
  const first = sql`coalesce(attempted_at, ${now.toISOString()}::timestamptz)`
  await tx
    .update(stripeUsageOutbox)
    .set({ attemptedAt: first, attempts: sql`attempts + 1` })
    .where(and(of(row), isPending))
}

export async function settle(
  tx: TenantTx,
  row: UsageRow,
  change: Partial<Pick<UsageRow, 'sentAt' | 'deadAt' | 'error'>>,
): Promise<void> {
  await tx
    .update(stripeUsageOutbox)
    .set(change)
    .where(and(of(row), isPending))
}

/** The sum of what has arrived with a time in a span. */
export async function sumSent(
  tx: TenantTx,
  { organizationId, meterKey }: UsageRow,
  { from, to }: { from: Date; to: Date },
): Promise<bigint> {
  const [row] = await tx
    .select({ sum: sql<string>`coalesce(sum(${stripeUsageOutbox.quantity}), 0)` })
    .from(stripeUsageOutbox)
    .where(
      and(
        eq(stripeUsageOutbox.organizationId, organizationId),
        eq(stripeUsageOutbox.meterKey, meterKey),
        gte(stripeUsageOutbox.stampedAt, from),
        lt(stripeUsageOutbox.stampedAt, to),
        isNotNull(stripeUsageOutbox.sentAt),
      ),
    )
  return BigInt(row?.sum ?? '0')
}
