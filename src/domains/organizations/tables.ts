import { pgTable, primaryKey, text, timestamp, unique } from 'drizzle-orm/pg-core'
import { tenantPolicies } from '../../infra/tenancy.ts'
import { users } from '../identity/tables.ts'

export const organizations = pgTable(
  'organizations',
  {
    id: text().primaryKey(),
    name: text().notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => tenantPolicies(table.id),
)

export const memberships = pgTable(
  'memberships',
  {
    organizationId: text('organization_id')
      .notNull()
      .references(() => organizations.id, { onDelete: 'cascade' }),
    id: text().notNull(),
    userId: text('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    role: text({ enum: ['owner', 'admin', 'analyst', 'developer', 'viewer'] }).notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.organizationId, table.id] }),
    unique('memberships_user').on(table.organizationId, table.userId),
    ...tenantPolicies(table.organizationId),
  ],
)
