import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  foreignKey,
  index,
  integer,
  jsonb,
  pgPolicy,
  pgTable,
  primaryKey,
  text,
  timestamp,
} from 'drizzle-orm/pg-core'
import { systemRole, tenantPolicies } from '../../../infra/tenancy.ts'
import { organizations } from '../../organizations/tables.ts'

/** Whose an event of Stripe's is turns out only when its object has been read, so these tables are for the system role alone. */
const systemOnly = () => pgPolicy('system', { for: 'all', to: systemRole, using: sql`true`, withCheck: sql`true` })

/** Who an organization is at Stripe, and whether somebody is buying something for it at this moment. */
export const stripeAccounts = pgTable(
  'stripe_accounts',
  {
    organizationId: text('organization_id')
      .primaryKey()
      .references(() => organizations.id, { onDelete: 'cascade' }),
    customerId: text('customer_id'),
    /** Grows when Stripe has deleted the customer, so that the next one is asked for under another idempotency key. */
    customerNumber: integer('customer_number').notNull().default(1),
    /** The purchase that was begun last. */
    checkout: jsonb().$type<{
      number: number
      planKey: string
      planVersion: number
      successUrl: string
      cancelUrl: string
      sessionId: string | null
    }>(),
    leaseHolder: text('lease_holder'),
    leaseUntil: timestamp('lease_until', { withTimezone: true }),
  },
  (table) => [index('stripe_accounts_customer').on(table.customerId), ...tenantPolicies(table.organizationId)],
)

/**
 * Every event that Stripe has told us of, once. What it says about its object is not kept: the object is read again when it is
 * processed, and the event would hold names and addresses of people.
 */
export const stripeEvents = pgTable(
  'stripe_events',
  {
    id: text().primaryKey(),
    type: text().notNull(),
    objectId: text('object_id'),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull(),
    apiVersion: text('api_version'),
    livemode: boolean().notNull(),
    status: text({ enum: ['pending', 'done', 'ignored', 'dead'] }).notNull(),
    attempts: integer().notNull().default(0),
    /** When it is tried next. */
    dueAt: timestamp('due_at', { withTimezone: true }).notNull(),
    error: text(),
    receivedAt: timestamp('received_at', { withTimezone: true }).notNull(),
    processedAt: timestamp('processed_at', { withTimezone: true }),
  },
  (table) => [
    index('stripe_events_due').on(table.dueAt, table.objectId).where(sql`${table.status} = 'pending'`),
    index('stripe_events_object').on(table.objectId).where(sql`${table.status} = 'pending'`),
    systemOnly(),
  ],
)

/** Who reads an object of Stripe's at this moment. Each lease has a higher epoch, which fences whoever slept through theirs. */
export const stripeLeases = pgTable(
  'stripe_leases',
  {
    objectId: text('object_id').primaryKey(),
    epoch: bigint({ mode: 'number' }).notNull(),
    heldUntil: timestamp('held_until', { withTimezone: true }).notNull(),
    /** The newest event that the object was read after: older ones say nothing new. */
    readAfter: timestamp('read_after', { withTimezone: true }),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  () => [systemOnly()],
)

/** Subscriptions as Stripe had them when they were read last. */
export const stripeSubscriptions = pgTable(
  'stripe_subscriptions',
  {
    organizationId: text('organization_id').notNull(),
    id: text().notNull(),
    status: text().notNull(),
    planKey: text('plan_key').notNull(),
    planVersion: integer('plan_version').notNull(),
    isCustom: boolean('is_custom').notNull(),
    periodStartsAt: timestamp('period_starts_at', { withTimezone: true }).notNull(),
    periodEndsAt: timestamp('period_ends_at', { withTimezone: true }).notNull(),
    cancelAtPeriodEnd: boolean('cancel_at_period_end').notNull(),
    trialEndsAt: timestamp('trial_ends_at', { withTimezone: true }),
    canceledAt: timestamp('canceled_at', { withTimezone: true }),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull(),
    epoch: bigint({ mode: 'number' }).notNull(),
  },
  (table) => [
    primaryKey({ name: 'stripe_subscriptions_pk', columns: [table.organizationId, table.id] }),
    foreignKey({
      name: 'stripe_subscriptions_account',
      columns: [table.organizationId],
      foreignColumns: [stripeAccounts.organizationId],
    }).onDelete('cascade'),
    ...tenantPolicies(table.organizationId),
  ],
)

/** Stripe's own invoices, which say what was paid. Amounts are minor units. */
export const stripeInvoices = pgTable(
  'stripe_invoices',
  {
    organizationId: text('organization_id').notNull(),
    id: text().notNull(),
    subscriptionId: text('subscription_id'),
    status: text().notNull(),
    reason: text().notNull(),
    currency: text().notNull(),
    total: bigint({ mode: 'bigint' }).notNull(),
    amountPaid: bigint('amount_paid', { mode: 'bigint' }).notNull(),
    /** How often Stripe has tried to collect it. */
    attempts: integer().notNull(),
    periodStartsAt: timestamp('period_starts_at', { withTimezone: true }).notNull(),
    periodEndsAt: timestamp('period_ends_at', { withTimezone: true }).notNull(),
    paidAt: timestamp('paid_at', { withTimezone: true }),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull(),
    epoch: bigint({ mode: 'number' }).notNull(),
  },
  (table) => [
    primaryKey({ name: 'stripe_invoices_pk', columns: [table.organizationId, table.id] }),
    foreignKey({
      name: 'stripe_invoices_account',
      columns: [table.organizationId],
      foreignColumns: [stripeAccounts.organizationId],
    }).onDelete('cascade'),
    ...tenantPolicies(table.organizationId),
  ],
)

/**
 * Usage on its way to Stripe's meters: for each hour what it has more, or less, than what was frozen for it before. A row is what is
 * sent, verbatim and under its own identifier, however often it takes.
 */
export const stripeUsageOutbox = pgTable(
  'stripe_usage_outbox',
  {
    organizationId: text('organization_id').notNull(),
    meterKey: text('meter_key').notNull(),
    hour: timestamp({ withTimezone: true }).notNull(),
    revision: integer().notNull(),
    quantity: bigint({ mode: 'bigint' }).notNull(),
    identifier: text().notNull(),
    customerId: text('customer_id').notNull(),
    /** The time that Stripe is told, which decides the period that pays. */
    stampedAt: timestamp('stamped_at', { withTimezone: true }).notNull(),
    frozenAt: timestamp('frozen_at', { withTimezone: true }).notNull(),
    /** Before the first try: from then on it may have arrived. */
    attemptedAt: timestamp('attempted_at', { withTimezone: true }),
    attempts: integer().notNull().default(0),
    sentAt: timestamp('sent_at', { withTimezone: true }),
    deadAt: timestamp('dead_at', { withTimezone: true }),
    error: text(),
  },
  (table) => [
    primaryKey({
      name: 'stripe_usage_outbox_pk',
      columns: [table.organizationId, table.meterKey, table.hour, table.revision],
    }),
    foreignKey({
      name: 'stripe_usage_outbox_account',
      columns: [table.organizationId],
      foreignColumns: [stripeAccounts.organizationId],
    }).onDelete('cascade'),
    index('stripe_usage_outbox_pending')
      .on(table.organizationId, table.hour)
      .where(sql`${table.sentAt} is null and ${table.deadAt} is null`),
    ...tenantPolicies(table.organizationId),
  ],
)
