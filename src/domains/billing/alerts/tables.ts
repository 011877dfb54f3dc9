import { bigint, boolean, pgTable, primaryKey, text, timestamp, unique } from 'drizzle-orm/pg-core'
import { tenantPolicies } from '../../../infra/tenancy.ts'
import { organizations } from '../../organizations/tables.ts'

const ALERT_KINDS = ['percent', 'quantity', 'spend', 'pace'] as const

/** What an organization wants to be told of its usage, beside what everybody is told. Rows do not change; each threshold is there once. */
export const usageAlerts = pgTable(
  'usage_alerts',
  {
    organizationId: text('organization_id')
      .notNull()
      .references(() => organizations.id, { onDelete: 'cascade' }),
    id: text().notNull(),
    /** Empty for what is about money. */
    meterKey: text('meter_key').notNull(),
    kind: text({ enum: ALERT_KINDS }).notNull(),
    /** Percent, units of the meter, or minor units of the currency. */
    threshold: bigint({ mode: 'bigint' }).notNull(),
    /** Id of the user. */
    createdBy: text('created_by').notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull(),
  },
  (table) => [
    primaryKey({ name: 'usage_alerts_pk', columns: [table.organizationId, table.id] }),
    unique('usage_alerts_thresholds').on(table.organizationId, table.meterKey, table.kind, table.threshold),
    ...tenantPolicies(table.organizationId),
  ],
)

/**
 * Which thresholds a period has crossed, each at most once: whoever writes the row tells about it. The threshold itself is in the key, so
 * that an alert which is deleted and made again says nothing twice. Rows are only ever added.
 */
export const usageAlertFirings = pgTable(
  'usage_alert_firings',
  {
    organizationId: text('organization_id')
      .notNull()
      .references(() => organizations.id, { onDelete: 'cascade' }),
    periodId: text('period_id').notNull(),
    meterKey: text('meter_key').notNull(),
    kind: text({ enum: ALERT_KINDS }).notNull(),
    threshold: bigint({ mode: 'bigint' }).notNull(),
    /** What was there when it was crossed; text, as sums have no upper end. */
    value: text().notNull(),
    /** What percent are of; null where the threshold is no share of anything. */
    whole: text(),
    firedAt: timestamp('fired_at', { withTimezone: true }).notNull(),
    /** Whether there was a mail; of several thresholds that are crossed at once the highest has one. */
    mailed: boolean().notNull(),
  },
  (table) => [
    primaryKey({
      name: 'usage_alert_firings_pk',
      columns: [table.organizationId, table.periodId, table.meterKey, table.kind, table.threshold],
    }),
    ...tenantPolicies(table.organizationId),
  ],
)
