import { bigint, index, jsonb, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core'
import { tenantPolicies } from '../../infra/tenancy.ts'
import { organizations } from '../organizations/tables.ts'

/**
 * What was done in an organization, in the order in which it was done. Rows are only ever added: neither role of the server may change
 * or delete one. They outlive projects, keys and people, and go with their organization alone.
 */
export const auditEntries = pgTable(
  'audit_entries',
  {
    organizationId: text('organization_id')
      .notNull()
      .references(() => organizations.id, { onDelete: 'cascade' }),
    /** 1, 2, 3 … without a gap, in each organization. */
    sequence: bigint({ mode: 'number' }).notNull(),
    id: text().notNull(),
    at: timestamp({ withTimezone: true, precision: 3 }).notNull(),
    /** The project that it concerns; NULL for what concerns the organization or its people. */
    projectId: text('project_id'),
    actorKind: text('actor_kind', { enum: ['user', 'key', 'operator', 'system'] }).notNull(),
    actorId: text('actor_id').notNull(),
    /** As it was called then: it may be renamed or gone when somebody reads this. */
    actorName: text('actor_name'),
    action: text().notNull(),
    targetKind: text('target_kind').notNull(),
    targetId: text('target_id').notNull(),
    ip: text(),
    userAgent: text('user_agent'),
    before: jsonb().$type<Record<string, unknown>>(),
    after: jsonb().$type<Record<string, unknown>>(),
    previousHash: text('previous_hash').notNull(),
    hash: text().notNull(),
  },
  (table) => [
    primaryKey({ name: 'audit_entries_pk', columns: [table.organizationId, table.sequence] }),
    index('audit_entries_project').on(table.organizationId, table.projectId, table.sequence),
    ...tenantPolicies(table.organizationId),
  ],
)
