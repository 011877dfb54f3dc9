import { sql } from 'drizzle-orm'
import { pgPolicy, pgTable, text, timestamp, uniqueIndex } from 'drizzle-orm/pg-core'
import { appRole, systemRole } from '../../infra/tenancy.ts'

/**
 * People who sign in. A user belongs to no organization but has memberships in some, so the wall is the membership:
 * an organization sees its members and nobody else, and only the system role writes.
 */
export const users = pgTable(
  'users',
  {
    id: text().primaryKey(),
    email: text().notNull(),
    name: text().notNull(),
    passwordHash: text('password_hash').notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    uniqueIndex('users_email').on(sql`lower(${table.email})`),
    pgPolicy('member', {
      for: 'select',
      to: appRole,
      // The sub-select runs under the policy of memberships, which already narrows it to the current organization.
      using: sql`exists (select 1 from memberships where memberships.user_id = ${table.id})`,
    }),
    pgPolicy('system', { for: 'all', to: systemRole, using: sql`true`, withCheck: sql`true` }),
  ],
)
