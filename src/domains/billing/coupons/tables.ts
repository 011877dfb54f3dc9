import { sql } from 'drizzle-orm'
import { integer, jsonb, pgPolicy, pgTable, primaryKey, text, timestamp, unique } from 'drizzle-orm/pg-core'
import { systemRole, tenantPolicies } from '../../../infra/tenancy.ts'
import { organizations } from '../../organizations/tables.ts'

/** What the operator gives away by a code. It belongs to no organization: one sees it only by knowing the code. */
export const coupons = pgTable(
  'coupons',
  {
    code: text().primaryKey(),
    /** Amounts are text inside, as everywhere in JSON. */
    coupon: jsonb().$type<Record<string, unknown>>().notNull(),
    /** Of a coupon over an amount; NULL for one over a share. */
    currency: text(),
    /** How many organizations may redeem it; NULL for any number. */
    redemptionsMax: integer('redemptions_max'),
    redemptions: integer().notNull().default(0),
    expiresAt: timestamp('expires_at', { withTimezone: true }),
    /** Id of the user. */
    createdBy: text('created_by').notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  () => [pgPolicy('system', { for: 'all', to: systemRole, using: sql`true`, withCheck: sql`true` })],
)

/** A coupon as it was when an organization redeemed it, which is what counts on its invoices. Rows are only ever added. */
export const redeemedCoupons = pgTable(
  'redeemed_coupons',
  {
    organizationId: text('organization_id')
      .notNull()
      .references(() => organizations.id, { onDelete: 'cascade' }),
    id: text().notNull(),
    code: text().notNull(),
    coupon: jsonb().$type<Record<string, unknown>>().notNull(),
    currency: text(),
    redeemedAt: timestamp('redeemed_at', { withTimezone: true }).notNull(),
  },
  (table) => [
    primaryKey({ name: 'redeemed_coupons_pk', columns: [table.organizationId, table.id] }),
    unique('redeemed_coupons_code').on(table.organizationId, table.code),
    ...tenantPolicies(table.organizationId),
  ],
)
