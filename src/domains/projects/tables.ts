import { sql } from 'drizzle-orm'
import { check, foreignKey, pgTable, primaryKey, text, timestamp, uniqueIndex } from 'drizzle-orm/pg-core'
import { IP_POLICIES } from '../../http/access.ts'
import { tenantPolicies } from '../../infra/tenancy.ts'
import { organizations } from '../organizations/tables.ts'

export const projects = pgTable(
  'projects',
  {
    organizationId: text('organization_id')
      .notNull()
      .references(() => organizations.id, { onDelete: 'cascade' }),
    id: text().notNull(),
    name: text().notNull(),
    timeZone: text('time_zone').notNull().default('UTC'),
    /** Origins whose pages may send, in the form that browsers write them; none means all. */
    allowedOrigins: text('allowed_origins').array().notNull().default(sql`'{}'`),
    /** What is kept of a sender's address. */
    ipPolicy: text('ip_policy', { enum: IP_POLICIES }).notNull().default('truncate'),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.organizationId, table.id] }),
    // Requests name a project by its id alone, so the id has to be unique on its own too.
    uniqueIndex('projects_id').on(table.id),
    check('projects_ip_policy', sql`${table.ipPolicy} in ('keep', 'truncate', 'drop')`),
    ...tenantPolicies(table.organizationId),
  ],
)

export const apiKeys = pgTable(
  'api_keys',
  {
    organizationId: text('organization_id').notNull(),
    id: text().notNull(),
    projectId: text('project_id').notNull(),
    name: text().notNull(),
    kind: text({ enum: ['write', 'api'] }).notNull(),
    /** The first characters of the key, so that a person can tell two keys apart in a list. */
    hint: text().notNull(),
    /** SHA-256 of the whole key, hex. The key has 256 random bits, so a slow hash would add nothing. */
    hash: text().notNull(),
    scopes: text().array().notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    expiresAt: timestamp('expires_at', { withTimezone: true }),
    revokedAt: timestamp('revoked_at', { withTimezone: true }),
  },
  (table) => [
    primaryKey({ columns: [table.organizationId, table.id] }),
    // Composite, because foreign-key checks bypass row-level security: a key can never point into another organization.
    foreignKey({
      name: 'api_keys_project',
      columns: [table.organizationId, table.projectId],
      foreignColumns: [projects.organizationId, projects.id],
    }).onDelete('cascade'),
    uniqueIndex('api_keys_hash').on(table.hash),
    ...tenantPolicies(table.organizationId),
  ],
)
