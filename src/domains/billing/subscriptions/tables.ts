import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
  uniqueIndex,
} from 'drizzle-orm/pg-core'
import { tenantPolicies } from '../../../infra/tenancy.ts'
import { organizations } from '../../organizations/tables.ts'

/** A version of a plan: a public one, or with `isCustom` one that was agreed with the organization. */
const plan = () => ({
  planKey: text('plan_key').notNull(),
  planVersion: integer('plan_version').notNull(),
  isCustom: boolean('is_custom').notNull().default(false),
})
const time = (name: string) => timestamp(name, { withTimezone: true })
const ofOrganization = () => text('organization_id').notNull()

/** An organization's use of plans from its start to its cancellation. Only one lives at a time. */
export const subscriptions = pgTable(
  'subscriptions',
  {
    organizationId: ofOrganization().references(() => organizations.id, { onDelete: 'cascade' }),
    id: text().notNull(),
    status: text().$type<'trialing' | 'active' | 'paused' | 'canceled'>().notNull(),
    ...plan(),
    provider: text().$type<'manual' | 'stripe'>().notNull().default('manual'),
    stripeSubscriptionId: text('stripe_subscription_id'),
    timeZone: text('time_zone').notNull(),
    /** Periods begin whole months or years after it, by the wall clock of the time zone. */
    anchor: time('anchor').notNull(),
    /** The plan from the end of the period on. */
    pending: jsonb().$type<{ planKey: string; version: number; isCustom: boolean }>(),
    cancelAtPeriodEnd: boolean('cancel_at_period_end').notNull().default(false),
    trialEndsAt: time('trial_ends_at'),
    pausedAt: time('paused_at'),
    canceledAt: time('canceled_at'),
    startedAt: time('started_at').notNull(),
    /** Rises with every change. */
    revision: integer().notNull().default(1),
  },
  (table) => [
    primaryKey({ name: 'subscriptions_pk', columns: [table.organizationId, table.id] }),
    uniqueIndex('subscriptions_live')
      .on(table.organizationId)
      .where(sql`${table.status} in ('trialing', 'active', 'paused')`),
    uniqueIndex('subscriptions_stripe')
      .on(table.stripeSubscriptionId)
      .where(sql`${table.stripeSubscriptionId} is not null`),
    ...tenantPolicies(table.organizationId),
  ],
)

/** What a subscription was when: a row for each plan, trial and pause. Rows are only ever added. */
export const subscriptionPhases = pgTable(
  'subscription_phases',
  {
    organizationId: ofOrganization(),
    subscriptionId: text('subscription_id').notNull(),
    number: integer().notNull(),
    ...plan(),
    startsAt: time('starts_at').notNull(),
    kind: text().$type<'trial' | 'paid' | 'paused'>().notNull(),
  },
  (table) => [
    primaryKey({
      name: 'subscription_phases_pk',
      columns: [table.organizationId, table.subscriptionId, table.number],
    }),
    foreignKey({
      name: 'subscription_phases_subscription',
      columns: [table.organizationId, table.subscriptionId],
      foreignColumns: [subscriptions.organizationId, subscriptions.id],
    }).onDelete('cascade'),
    ...tenantPolicies(table.organizationId),
  ],
)

/** What is billed together. Of an organization one is open at a time, or none while it is paused. */
export const billingPeriods = pgTable(
  'billing_periods',
  {
    organizationId: ofOrganization(),
    id: text().notNull(),
    subscriptionId: text('subscription_id').notNull(),
    number: integer().notNull(),
    startsAt: time('starts_at').notNull(),
    /** Exclusive; when it really ended, once the period is no longer open. */
    endsAt: time('ends_at').notNull(),
    /** Whole hours of UTC, the second one exclusive: events with a time between them are billed here. */
    usageFrom: time('usage_from').notNull(),
    usageTo: time('usage_to').notNull(),
    /** In force at its end, and with it the prices of all of its usage. */
    ...plan(),
    isTrial: boolean('is_trial').notNull().default(false),
    status: text().$type<'open' | 'ended' | 'invoiced'>().notNull(),
    cutOff: time('cut_off'),
    invoiceId: text('invoice_id'),
  },
  (table) => [
    primaryKey({ name: 'billing_periods_pk', columns: [table.organizationId, table.id] }),
    unique('billing_periods_number').on(table.organizationId, table.subscriptionId, table.number),
    uniqueIndex('billing_periods_open').on(table.organizationId).where(sql`${table.status} = 'open'`),
    index('billing_periods_due').on(table.endsAt).where(sql`${table.status} = 'open'`),
    index('billing_periods_ended').on(table.endsAt).where(sql`${table.status} = 'ended'`),
    foreignKey({
      name: 'billing_periods_subscription',
      columns: [table.organizationId, table.subscriptionId],
      foreignColumns: [subscriptions.organizationId, subscriptions.id],
    }).onDelete('cascade'),
    ...tenantPolicies(table.organizationId),
  ],
)

/** What is to be paid beside usage; a credit is negative. Written with the change that makes it due. */
export const billingCharges = pgTable(
  'billing_charges',
  {
    organizationId: ofOrganization(),
    id: text().notNull(),
    subscriptionId: text('subscription_id').notNull(),
    /** The period whose invoice it is on when it is due at a period's end; when it is due now, the one that it is for. */
    periodId: text('period_id').notNull(),
    kind: text().$type<'base' | 'proration_charge' | 'proration_credit' | 'one_time' | 'credit'>().notNull(),
    description: text().notNull(),
    /** Minor units. */
    amount: bigint({ mode: 'bigint' }).notNull(),
    currency: text().notNull(),
    fromAt: time('from_at').notNull(),
    toAt: time('to_at').notNull(),
    ...plan(),
    due: text().$type<'now' | 'period_end'>().notNull(),
    invoiceId: text('invoice_id'),
    createdAt: time('created_at').notNull(),
  },
  (table) => [
    primaryKey({ name: 'billing_charges_pk', columns: [table.organizationId, table.id] }),
    index('billing_charges_period').on(table.organizationId, table.periodId),
    index('billing_charges_due')
      .on(table.organizationId)
      .where(sql`${table.invoiceId} is null and ${table.due} = 'now'`),
    foreignKey({
      name: 'billing_charges_period_of',
      columns: [table.organizationId, table.periodId],
      foreignColumns: [billingPeriods.organizationId, billingPeriods.id],
    }).onDelete('cascade'),
    foreignKey({
      name: 'billing_charges_subscription',
      columns: [table.organizationId, table.subscriptionId],
      foreignColumns: [subscriptions.organizationId, subscriptions.id],
    }).onDelete('cascade'),
    ...tenantPolicies(table.organizationId),
  ],
)
