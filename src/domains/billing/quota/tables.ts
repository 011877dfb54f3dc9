import { pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core'
import { tenantPolicies } from '../../../infra/tenancy.ts'
import { organizations } from '../../organizations/tables.ts'

/**
 * What happened to the quota of a period, each at most once: whoever writes the row tells about it. A period is known by its beginning,
 * because the door may begin one before anybody has given it its id. Rows are only ever added.
 */
export const quotaTransitions = pgTable(
  'quota_transitions',
  {
    organizationId: text('organization_id')
      .notNull()
      .references(() => organizations.id, { onDelete: 'cascade' }),
    periodStart: timestamp('period_start', { withTimezone: true, precision: 3 }).notNull(),
    kind: text({ enum: ['reached', 'stopped', 'held', 'resumed'] }).notNull(),
    periodId: text('period_id').notNull(),
    at: timestamp({ withTimezone: true }).notNull(),
  },
  (table) => [
    primaryKey({
      name: 'quota_transitions_pk',
      columns: [table.organizationId, table.periodStart, table.kind],
    }),
    ...tenantPolicies(table.organizationId),
  ],
)
