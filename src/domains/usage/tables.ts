import { sql } from 'drizzle-orm'
import { bigint, boolean, index, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core'
import { tenantPolicies } from '../../infra/tenancy.ts'

/**
 * Events of each project and hour, by the time of the event, each event once. A row is set and never added to. It has no foreign key:
 * what was used stays to be billed when the project is gone.
 */
export const usageWindows = pgTable(
  'usage_windows',
  {
    organizationId: text('organization_id').notNull(),
    projectId: text('project_id').notNull(),
    /** The first moment of the hour, UTC. */
    windowStart: timestamp('window_start', { withTimezone: true }).notNull(),
    events: bigint({ mode: 'number' }).notNull(),
    /** Which mark of the hour the count answers; a count for an older mark never replaces it. */
    revision: bigint({ mode: 'number' }).notNull(),
    computedAt: timestamp('computed_at', { withTimezone: true }).notNull().defaultNow(),
    /** Whether everything acknowledged until two hours after the end is counted. Later events still change `events`. */
    complete: boolean().notNull().default(false),
  },
  (table) => [
    primaryKey({ columns: [table.organizationId, table.projectId, table.windowStart] }),
    index('usage_windows_open').on(table.windowStart).where(sql`not ${table.complete}`),
    ...tenantPolicies(table.organizationId),
  ],
)
