import { sql } from 'drizzle-orm'
import {
  boolean,
  check,
  foreignKey,
  index,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
  uniqueIndex,
} from 'drizzle-orm/pg-core'
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
    /** Since when the operator of the platform has stopped it, and why; NULL when it goes on. */
    frozenAt: timestamp('frozen_at', { withTimezone: true, precision: 3 }),
    frozenReason: text('frozen_reason'),
    /** Whether only people with a second factor may do anything in it. */
    requiresSecondFactor: boolean('requires_second_factor').notNull().default(false),
  },
  (table) => [
    index('organizations_deletes').on(table.deletesAt).where(sql`${table.deletesAt} is not null`),
    ...tenantPolicies(table.id),
  ],
)

/** Roles that an organization makes for itself, beside the built-in ones. */
export const roles = pgTable(
  'roles',
  {
    organizationId: text('organization_id')
      .notNull()
      .references(() => organizations.id, { onDelete: 'cascade' }),
    id: text().notNull(),
    name: text().notNull(),
    /** The name in small letters: two that differ in nothing else would be taken for each other. */
    nameKey: text('name_key').notNull(),
    permissions: text().array().notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.organizationId, table.id] }),
    unique('roles_name').on(table.organizationId, table.nameKey),
    ...tenantPolicies(table.organizationId),
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
    /** A built-in role, or `custom` for the one that `roleId` names. */
    role: text({ enum: ['owner', 'admin', 'analyst', 'developer', 'viewer', 'custom'] }).notNull(),
    roleId: text('role_id'),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.organizationId, table.id] }),
    unique('memberships_user').on(table.organizationId, table.userId),
    // No action, so that a role that somebody has stays, and an organization still takes both away with it.
    foreignKey({
      name: 'memberships_role_fk',
      columns: [table.organizationId, table.roleId],
      foreignColumns: [roles.organizationId, roles.id],
    }),
    check(
      'memberships_role_check',
      sql`(${table.roleId} is null) = (${table.role} in ('owner', 'admin', 'developer', 'analyst', 'viewer'))`,
    ),
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
    role: text().$type<Exclude<(typeof memberships.$inferSelect)['role'], 'custom'>>().notNull(),
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
