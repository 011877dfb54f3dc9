import { sql } from 'drizzle-orm'
import { integer, jsonb, pgTable, primaryKey, text, timestamp, uniqueIndex } from 'drizzle-orm/pg-core'
import { tenantPolicies } from '../../../infra/tenancy.ts'
import { organizations } from '../../organizations/tables.ts'

/** Who is billed and how. Every change to the subscription of an organization locks this row first, so that they follow each other. */
export const billingAccounts = pgTable(
  'billing_accounts',
  {
    organizationId: text('organization_id')
      .notNull()
      .references(() => organizations.id, { onDelete: 'cascade' }),
    name: text().notNull().default(''),
    /** Lines, as they stand on an invoice. */
    address: jsonb().$type<string[]>().notNull().default([]),
    /** Where invoices are mailed; NULL: to the owners. */
    email: text(),
    taxId: text('tax_id'),
    taxBasisPoints: integer('tax_basis_points').notNull().default(0),
    /** Whose wall clock the periods of a subscription follow that begins from now on. */
    timeZone: text('time_zone').notNull().default('UTC'),
    /** Of the first plan that cost something; NULL until then. */
    currency: text(),
    /** What the operator has set in the place of the plan's limit of events. */
    limitOverride: jsonb('limit_override').$type<{ perPeriod: string | null; mode: string }>(),
    stripeCustomerId: text('stripe_customer_id'),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ name: 'billing_accounts_pk', columns: [table.organizationId] }),
    uniqueIndex('billing_accounts_stripe').on(table.stripeCustomerId).where(sql`${table.stripeCustomerId} is not null`),
    ...tenantPolicies(table.organizationId),
  ],
)
