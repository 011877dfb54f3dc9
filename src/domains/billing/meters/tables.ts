import { bigint, boolean, integer, jsonb, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core'
import { tenantPolicies } from '../../../infra/tenancy.ts'
import { organizations } from '../../organizations/tables.ts'

/**
 * How an organization turns events into a number, and has turned them. The newest version is the meter, and an invoice keeps the one that
 * it used. Rows are only ever added; neither role of the server may change or delete one. Two changes at once meet in the primary key.
 */
export const meters = pgTable(
  'meters',
  {
    organizationId: text('organization_id')
      .notNull()
      .references(() => organizations.id, { onDelete: 'cascade' }),
    key: text().notNull(),
    version: integer().notNull(),
    definition: jsonb().$type<Record<string, unknown>>().notNull(),
    /** Id of the user. */
    createdBy: text('created_by').notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull(),
  },
  (table) => [
    primaryKey({ name: 'meters_pk', columns: [table.organizationId, table.key, table.version] }),
    ...tenantPolicies(table.organizationId),
  ],
)

/**
 * What a meter says of each project and hour, by the time of the event, each event once. A row is set and never added to, and not even
 * that once it is closed. It has no foreign key: what was used stays to be billed when the project is gone.
 */
export const meterWindows = pgTable(
  'meter_windows',
  {
    organizationId: text('organization_id').notNull(),
    projectId: text('project_id').notNull(),
    meterKey: text('meter_key').notNull(),
    meterVersion: integer('meter_version').notNull(),
    /** The first moment of the hour, UTC. */
    windowStart: timestamp('window_start', { withTimezone: true }).notNull(),
    /** A decimal, as text so that nothing rounds it. */
    value: text().notNull(),
    /** How many events the value is made of. */
    rowCount: bigint('row_count', { mode: 'bigint' }).notNull(),
    /** Which mark of the hour the value answers; one for an older mark never replaces it. */
    revision: bigint({ mode: 'number' }).notNull(),
    /** Whether the period of the hour is over and counted for its invoice. */
    closed: boolean().notNull().default(false),
    computedAt: timestamp('computed_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    primaryKey({
      name: 'meter_windows_pk',
      columns: [table.organizationId, table.meterKey, table.meterVersion, table.projectId, table.windowStart],
    }),
    ...tenantPolicies(table.organizationId),
  ],
)
