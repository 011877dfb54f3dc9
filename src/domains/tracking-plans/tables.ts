import { foreignKey, integer, json, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core'
import { tenantPolicies } from '../../infra/tenancy.ts'
import { projects } from '../projects/tables.ts'

/**
 * The history of each project's plan. The row with the highest version is the plan as it is; rows are only ever added, and neither role
 * of the server may change or delete one. Two publications at once meet in the primary key.
 */
export const trackingPlanVersions = pgTable(
  'tracking_plan_versions',
  {
    organizationId: text('organization_id').notNull(),
    projectId: text('project_id').notNull(),
    version: integer().notNull(),
    change: text({ enum: ['settings', 'schema', 'removal', 'restore'] }).notNull(),
    mode: text({ enum: ['observe', 'warn', 'quarantine', 'reject'] }).notNull(),
    unplannedEvents: text('unplanned_events', { enum: ['allow', 'warn', 'quarantine', 'reject'] }).notNull(),
    /** Of a schema or a removal: whose. */
    event: text(),
    /** Of a restore: the version that the plan equals again. */
    restoredVersion: integer('restored_version'),
    comment: text(),
    /** Id of the user or of the API key. */
    changedBy: text('changed_by').notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    primaryKey({
      name: 'tracking_plan_versions_pk',
      columns: [table.organizationId, table.projectId, table.version],
    }),
    foreignKey({
      name: 'tracking_plan_versions_project',
      columns: [table.organizationId, table.projectId],
      foreignColumns: [projects.organizationId, projects.id],
    }).onDelete('cascade'),
    ...tenantPolicies(table.organizationId),
  ],
)

/** What each version changed: the schema of an event from this version on, or its absence. */
export const trackingPlanSchemas = pgTable(
  'tracking_plan_schemas',
  {
    organizationId: text('organization_id').notNull(),
    projectId: text('project_id').notNull(),
    event: text().notNull(),
    version: integer().notNull(),
    /** As it was written, so json and not jsonb, which would sort its names. NULL where the event left the plan. */
    schema: json().$type<Record<string, unknown>>(),
  },
  (table) => [
    primaryKey({
      name: 'tracking_plan_schemas_pk',
      columns: [table.organizationId, table.projectId, table.event, table.version],
    }),
    foreignKey({
      name: 'tracking_plan_schemas_version',
      columns: [table.organizationId, table.projectId, table.version],
      foreignColumns: [
        trackingPlanVersions.organizationId,
        trackingPlanVersions.projectId,
        trackingPlanVersions.version,
      ],
    }).onDelete('cascade'),
    ...tenantPolicies(table.organizationId),
  ],
)
