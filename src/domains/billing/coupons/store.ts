import { and, asc, eq, gt, isNull, lt, or, sql } from 'drizzle-orm'
import type { SystemTx, TenantTx } from '../../../infra/postgres.ts'
import { coupons, redeemedCoupons } from './tables.ts'

export type CouponRow = typeof coupons.$inferSelect
export type RedeemedRow = typeof redeemedCoupons.$inferSelect

/** Resolves to whether the code was still free. */
export async function insertCoupon(tx: SystemTx, row: typeof coupons.$inferInsert): Promise<boolean> {
  const rows = await tx.insert(coupons).values(row).onConflictDoNothing().returning({ code: coupons.code })
  return rows.length > 0
}

/** Counts a redemption of a coupon that has some left and is not over; of many at once each counts. */
export async function takeCoupon(tx: SystemTx, code: string, now: Date): Promise<CouponRow | undefined> {
  const isLeft = or(isNull(coupons.redemptionsMax), lt(coupons.redemptions, coupons.redemptionsMax))
  const isOpen = or(isNull(coupons.expiresAt), gt(coupons.expiresAt, now))
  const [row] = await tx
    .update(coupons)
    .set({ redemptions: sql`${coupons.redemptions} + 1` })
    .where(and(eq(coupons.code, code), isLeft, isOpen))
    .returning()
  return row
}

/** Resolves to whether the organization had not redeemed the code yet. */
export async function insertRedeemed(tx: SystemTx, row: typeof redeemedCoupons.$inferInsert): Promise<boolean> {
  const rows = await tx.insert(redeemedCoupons).values(row).onConflictDoNothing().returning({ id: redeemedCoupons.id })
  return rows.length > 0
}

/** In the order in which they were redeemed, which is the order in which they count. */
export function listRedeemed(tx: TenantTx | SystemTx, organizationId: string): Promise<RedeemedRow[]> {
  return tx
    .select()
    .from(redeemedCoupons)
    .where(eq(redeemedCoupons.organizationId, organizationId))
    .orderBy(asc(redeemedCoupons.redeemedAt), asc(redeemedCoupons.id))
}
