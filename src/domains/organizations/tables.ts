import { sql } from 'drizzle-orm'
import { foreignKey, index, pgTable, primaryKey, text, timestamp, unique, uniqueIndex } from 'drizzle-orm/pg-core'
import { tenantPolicies } from '../../infra/tenancy.ts'
import { users } from '../identity/tables.ts'

export const organizations = pgTable(
  'organizations',
  {
    id: text().primaryKey(),
    name: text().notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    /** When all of it is deleted; until then its keys do not act and its owners can change their mind. NULL: never. */
    deletesAt: timestamp('deletes_at', { withTimezone: true }),
  },
  (table) => [
    index('organizations_deletes').on(table.deletesAt).where(sql`${table.deletesAt} is not null`),
    ...tenantPolicies(table.id),
  ],
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

/** Who was asked to join and has not answered. A row is used up by joining, so that it works once. */
export const invitations = pgTable(
  'invitations',
  {
    organizationId: text('organization_id').notNull(),
    id: text().notNull(),
    /** In lower case, so that the index finds it however it is written. */
    email: text().notNull(),
    role: text().$type<(typeof memberships.$inferSelect)['role']>().notNull(),
    /** SHA-256 of the token that was mailed, which is 256 bits that nobody can guess. */
    tokenHash: text('token_hash').notNull(),
    invitedBy: text('invited_by').notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.organizationId, table.id] }),
    // An invitation is its inviter's word: whoever is no member anymore has none.
    foreignKey({
      name: 'invitations_inviter',
      columns: [table.organizationId, table.invitedBy],
      foreignColumns: [memberships.organizationId, memberships.userId],
    }).onDelete('cascade'),
    uniqueIndex('invitations_email').on(table.organizationId, table.email),
    uniqueIndex('invitations_token').on(table.tokenHash),
    index('invitations_address').on(table.email),
    ...tenantPolicies(table.organizationId),
  ],
)
