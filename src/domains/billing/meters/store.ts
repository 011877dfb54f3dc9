import { and, asc, desc, eq, lte, sql } from 'drizzle-orm'
import type { TenantTx } from '../../../infra/postgres.ts'
import type { Meter, MeterDefinition } from './schemas.ts'
import { meters } from './tables.ts'

export type MeterRow = typeof meters.$inferSelect

/** The newest version of every meter of the organization of the transaction, by key. */
export function listNewest(tx: TenantTx): Promise<MeterRow[]> {
  return tx.selectDistinctOn([meters.key]).from(meters).orderBy(asc(meters.key), desc(meters.version))
}

/** A version of a meter; the newest where none is named, or the newest of those that were there at a time. */
export async function findVersion(
  tx: TenantTx,
  key: string,
  { version, at }: { version?: number | undefined; at?: Date | undefined },
): Promise<MeterRow | undefined> {
  const wanted = [
    ...(version === undefined ? [] : [eq(meters.version, version)]),
    ...(at === undefined ? [] : [lte(meters.createdAt, at)]),
  ]
  const [row] = await tx
    .select()
    .from(meters)
    .where(and(eq(meters.key, key), ...wanted))
    .orderBy(desc(meters.version))
    .limit(1)
  return row
}

export async function countKeys(tx: TenantTx): Promise<number> {
  const [row] = await tx.select({ keys: sql<number>`count(distinct ${meters.key})::int` }).from(meters)
  return row?.keys ?? 0
}

/** Resolves to whether the number of the version was still free. */
export async function insertVersion(tx: TenantTx, row: MeterRow): Promise<boolean> {
  const rows = await tx.insert(meters).values(row).onConflictDoNothing().returning({ key: meters.key })
  return rows.length > 0
}

/** Definitions are checked before they are stored and never change afterwards. */
export function toMeter({ key, version, definition, createdAt }: MeterRow): Meter {
  const {
    name,
    unit = null,
    aggregation,
    property = null,
    events = null,
    filters = [],
    groupBy = [],
  } = definition as unknown as MeterDefinition
  const whole = { name, unit, aggregation, property, events, filters, groupBy }
  return { key, version, builtIn: false, ...whole, createdAt: createdAt.toISOString() }
}
