import { sql } from 'drizzle-orm'
import { check, foreignKey, integer, pgTable, primaryKey, text, timestamp, uniqueIndex } from 'drizzle-orm/pg-core'
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
    /** How long events are kept after their own time; null keeps them. */
    retentionDays: integer('retention_days'),
    /** A midnight before which events were erased, or are about to be. It never goes back: what was counted before it stays as it is. */
    eventsKeptFrom: timestamp('events_kept_from', { withTimezone: true }),
    /** When erasing was last finished; null when there is some to do. */
    erasedAt: timestamp('erased_at', { withTimezone: true }),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.organizationId, table.id] }),
    // Requests name a project by its id alone, so the id has to be unique on its own too.
    uniqueIndex('projects_id').on(table.id),
    check('projects_ip_policy', sql`${table.ipPolicy} in ('keep', 'truncate', 'drop')`),
    check('projects_retention_days', sql`${table.retentionDays} between 1 and 3650`),
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
    /** Written once a minute, so it may lag behind. */
    lastUsedAt: timestamp('last_used_at', { withTimezone: true }),
    /** Addresses and networks that may use the key; none means all. */
    allowedIps: text('allowed_ips').array().notNull().default(sql`'{}'`),
    /** Null leaves the limit that every credential has. */
    requestsPerMinute: integer('requests_per_minute'),
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
    check('api_keys_requests_per_minute', sql`${table.requestsPerMinute} > 0`),
    ...tenantPolicies(table.organizationId),
  ],
)
