import { sql } from 'drizzle-orm'
import { boolean, index, integer, pgPolicy, pgTable, text, timestamp, uniqueIndex } from 'drizzle-orm/pg-core'
import { appRole, systemRole } from '../../infra/tenancy.ts'

/**
 * People who sign in. A user belongs to no organization but has memberships in some, so the wall is the membership:
 * an organization sees its members and nobody else, and only the system role writes.
 */
export const users = pgTable(
  'users',
  {
    id: text().primaryKey(),
    email: text().notNull(),
    name: text().notNull(),
    passwordHash: text('password_hash').notNull(),
    /** Whether they run the platform. No request writes it: scripts/operator.ts does, and says when and why. */
    isOperator: boolean('is_operator').notNull().default(false),
    operatorChangedAt: timestamp('operator_changed_at', { withTimezone: true }),
    operatorReason: text('operator_reason'),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    uniqueIndex('users_email').on(sql`lower(${table.email})`),
    pgPolicy('member', {
      for: 'select',
      to: appRole,
      // The sub-select runs under the policy of memberships, which already narrows it to the current organization.
      using: sql`exists (select 1 from memberships where memberships.user_id = ${table.id})`,
    }),
    pgPolicy('system', { for: 'all', to: systemRole, using: sql`true`, withCheck: sql`true` }),
  ],
)

const at = (name: string) => timestamp(name, { withTimezone: true })

/**
 * Tables about people and not about an organization's data: the server reads them as the system role only. The app role has neither
 * a policy nor a grant, so that no tenant transaction can see them whatever it asks.
 */
const systemOnly = () => pgPolicy('system', { for: 'all', to: systemRole, using: sql`true`, withCheck: sql`true` })

/** One sign-in on one device, and the family of refresh tokens that keeps it going. */
export const sessions = pgTable(
  'sessions',
  {
    id: text().primaryKey(),
    userId: text('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    createdAt: at('created_at').notNull().defaultNow(),
    /** When it was last refreshed. */
    lastSeenAt: at('last_seen_at').notNull().defaultNow(),
    /** When it ends however much it is used. */
    expiresAt: at('expires_at').notNull(),
    endedAt: at('ended_at'),
    endedBy: text('ended_by', { enum: ['logout', 'revocation', 'password', 'reuse', 'deletion'] }),
    ip: text(),
    userAgent: text('user_agent'),
  },
  (table) => [index('sessions_user').on(table.userId, table.id), systemOnly()],
)

/** Every refresh token of a session, by its hash: the spent ones too, or a stolen one could not be told from a wrong one. */
export const refreshTokens = pgTable(
  'refresh_tokens',
  {
    hash: text().primaryKey(),
    sessionId: text('session_id')
      .notNull()
      .references(() => sessions.id, { onDelete: 'cascade' }),
    createdAt: at('created_at').notNull().defaultNow(),
    spentAt: at('spent_at'),
    /** With the token itself it makes the successor; alone it is worth nothing. */
    successorSalt: text('successor_salt'),
  },
  (table) => [index('refresh_tokens_session').on(table.sessionId), systemOnly()],
)

/**
 * A link that is mailed to an address. Whoever comes back with its token reads the mailbox, and may do once what it was made for: using
 * it deletes it.
 */
export const mailboxProofs = pgTable(
  'mailbox_proofs',
  {
    id: text().primaryKey(),
    purpose: text({ enum: ['registration', 'password_reset', 'email_change'] }).notNull(),
    email: text().notNull(),
    tokenHash: text('token_hash').notNull(),
    createdAt: at('created_at').notNull().defaultNow(),
    expiresAt: at('expires_at').notNull(),
    /** What a registration asks for. The account is made when the proof comes back, so nobody can occupy another's address. */
    name: text(),
    passwordHash: text('password_hash'),
    organizationName: text('organization_name'),
    /** Whose address is to be another, of an email change. */
    userId: text('user_id').references(() => users.id, { onDelete: 'cascade' }),
  },
  (table) => [
    index('mailbox_proofs_user').on(table.userId),
    uniqueIndex('mailbox_proofs_token').on(table.tokenHash),
    index('mailbox_proofs_email').on(sql`lower(${table.email})`),
    systemOnly(),
  ],
)

/** What a person's authenticator shares with the server. It asks for codes from the moment that a first one has confirmed it. */
export const secondFactors = pgTable(
  'second_factors',
  {
    userId: text('user_id')
      .primaryKey()
      .references(() => users.id, { onDelete: 'cascade' }),
    sealedSecret: text('sealed_secret').notNull(),
    createdAt: at('created_at').notNull().defaultNow(),
    confirmedAt: at('confirmed_at'),
    /** The time step of the last accepted code: none up to it is accepted again. */
    lastStep: integer('last_step').notNull().default(0),
  },
  () => [systemOnly()],
)

/** The codes that stand in for a lost authenticator, by their hash. Using one deletes it. */
export const recoveryCodes = pgTable(
  'recovery_codes',
  {
    hash: text().primaryKey(),
    userId: text('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    createdAt: at('created_at').notNull().defaultNow(),
  },
  (table) => [index('recovery_codes_user').on(table.userId), systemOnly()],
)

/** Who a person is at another service that signs people in. The person's own password is not needed there, nor the other way round. */
export const userIdentities = pgTable(
  'user_identities',
  {
    id: text().primaryKey(),
    userId: text('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    providerId: text('provider_id').notNull(),
    /** What the provider calls the person, for good; an address may change hands. */
    subject: text().notNull(),
    /** The address that it confirmed when it was linked. */
    email: text().notNull(),
    createdAt: at('created_at').notNull().defaultNow(),
  },
  (table) => [
    uniqueIndex('user_identities_subject').on(table.providerId, table.subject),
    // One of each provider, so that whoever is given an old address anew is not let into the account of its former holder.
    uniqueIndex('user_identities_user').on(table.userId, table.providerId),
    systemOnly(),
  ],
)
