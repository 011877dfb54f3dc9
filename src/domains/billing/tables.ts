import { sql } from 'drizzle-orm'
import {
  boolean,
  foreignKey,
  integer,
  jsonb,
  pgPolicy,
  pgTable,
  primaryKey,
  text,
  timestamp,
} from 'drizzle-orm/pg-core'
import { systemRole, tenantPolicies } from '../../infra/tenancy.ts'
import { organizations } from '../organizations/tables.ts'

/**
 * What everybody may subscribe to belongs to no organization, so only the system role reads and writes it; the app role has neither a
 * policy nor a grant. Terms agreed with one organization are a table of their own, behind that organization's wall.
 */
const systemOnly = () => pgPolicy('system', { for: 'all', to: systemRole, using: sql`true`, withCheck: sql`true` })

/** The public plans. Whether a plan is offered is all of it that changes. */
export const plans = pgTable(
  'plans',
  {
    key: text().primaryKey(),
    offered: boolean().notNull(),
    /** Where it stands among the others, lowest first. */
    position: integer().notNull().default(100),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  () => [systemOnly()],
)

/**
 * What a plan says, and has said: the newest version is what is offered, and a subscription stays on its own. Rows are only ever added;
 * neither role of the server may change or delete one. Two changes at once meet in the primary key.
 */
export const planVersions = pgTable(
  'plan_versions',
  {
    planKey: text('plan_key').notNull(),
    version: integer().notNull(),
    terms: jsonb().$type<Record<string, unknown>>().notNull(),
    /** Id of the user; NULL for what the migration brought. */
    createdBy: text('created_by'),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ name: 'plan_versions_pk', columns: [table.planKey, table.version] }),
    foreignKey({ name: 'plan_versions_plan', columns: [table.planKey], foreignColumns: [plans.key] }),
    systemOnly(),
  ],
)

/** Terms agreed with one organization, as immutable as public ones. */
export const customPlanVersions = pgTable(
  'custom_plan_versions',
  {
    organizationId: text('organization_id')
      .notNull()
      .references(() => organizations.id, { onDelete: 'cascade' }),
    planKey: text('plan_key').notNull(),
    version: integer().notNull(),
    terms: jsonb().$type<Record<string, unknown>>().notNull(),
    /** Id of the user. */
    createdBy: text('created_by').notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    primaryKey({
      name: 'custom_plan_versions_pk',
      columns: [table.organizationId, table.planKey, table.version],
    }),
    ...tenantPolicies(table.organizationId),
  ],
)
