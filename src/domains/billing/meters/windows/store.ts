import { and, asc, eq, gt, gte, isNotNull, lt, sql } from 'drizzle-orm'
import type { SystemTx, TenantTx } from '../../../../infra/postgres.ts'
import { billingPeriods } from '../../subscriptions/tables.ts'
import { meters, meterWindows } from '../tables.ts'

export type WindowRow = Omit<typeof meterWindows.$inferInsert, 'computedAt'>

/** Who has meters of their own. */
export async function listOrganizations(tx: SystemTx): Promise<string[]> {
  const rows = await tx.selectDistinct({ id: meters.organizationId }).from(meters).orderBy(asc(meters.organizationId))
  return rows.map(({ id }) => id)
}

export interface ClosedPeriod {
  usageFrom: Date
  usageTo: Date
  cutOff: Date | null
}

/** The periods of the transaction's organization that are counted for their invoice, as far as they lie in a span. */
export function closedPeriods(tx: TenantTx, fromMs: number, toMs: number): Promise<ClosedPeriod[]> {
  const { usageFrom, usageTo, cutOff } = billingPeriods
  return tx
    .select({ usageFrom, usageTo, cutOff })
    .from(billingPeriods)
    .where(and(isNotNull(cutOff), lt(usageFrom, new Date(toMs)), gt(usageTo, new Date(fromMs))))
    .orderBy(asc(usageFrom))
}

/** Sets windows. One that answers an older mark changes nothing, and one that is open never takes the place of a closed one. */
export async function writeWindows(tx: TenantTx, rows: WindowRow[]): Promise<void> {
  if (rows.length === 0) return
  const { organizationId, meterKey, meterVersion, projectId, windowStart, revision, closed } = meterWindows
  await tx
    .insert(meterWindows)
    .values(rows)
    .onConflictDoUpdate({
      target: [organizationId, meterKey, meterVersion, projectId, windowStart],
      set: {
        value: sql`excluded.value`,
        rowCount: sql`excluded.row_count`,
        revision: sql`excluded.revision`,
        closed: sql`excluded.closed`,
        computedAt: sql`now()`,
      },
      setWhere: sql`(excluded.revision > ${revision} and excluded.closed >= ${closed}) or excluded.closed > ${closed}`,
    })
}

/** The days that a version of a meter has windows of, with whether some hour of them lies in a period that closed meanwhile. */
export async function countedDays(tx: TenantTx, key: string, version: number, fromMs: number) {
  const dayMs = sql<string>`(extract(epoch from date_trunc('day', ${meterWindows.windowStart}, 'UTC')) * 1000)::bigint`
  const isOpenInClosed = sql<boolean>`bool_or(not ${meterWindows.closed} and exists (
    select from ${billingPeriods} where ${billingPeriods.organizationId} = ${meterWindows.organizationId}
      and ${billingPeriods.cutOff} is not null and ${billingPeriods.usageFrom} <= ${meterWindows.windowStart}
      and ${billingPeriods.usageTo} > ${meterWindows.windowStart}))`
  const rows = await tx
    .select({ projectId: meterWindows.projectId, dayMs, isStale: isOpenInClosed })
    .from(meterWindows)
    .where(ofVersion(key, version, new Date(fromMs)))
    .groupBy(meterWindows.projectId, sql`2`)
  return rows.map((row) => ({ ...row, dayMs: Number(row.dayMs) }))
}

/** The windows of a version of a meter that have events in them, by project and hour. */
export function listWindows(tx: TenantTx, key: string, version: number, from: Date, to: Date) {
  return tx
    .select()
    .from(meterWindows)
    .where(and(ofVersion(key, version, from), lt(meterWindows.windowStart, to), gt(meterWindows.rowCount, 0n)))
    .orderBy(asc(meterWindows.projectId), asc(meterWindows.windowStart))
}

const ofVersion = (key: string, version: number, from: Date) =>
  and(eq(meterWindows.meterKey, key), eq(meterWindows.meterVersion, version), gte(meterWindows.windowStart, from))
