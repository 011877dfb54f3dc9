import { date, pgTable, primaryKey, text, timestamp, unique } from 'drizzle-orm/pg-core'
import { tenantPolicies } from '../../../infra/tenancy.ts'
import { organizations } from '../../organizations/tables.ts'

/**
 * What an organization used on a day, signed and chained to the proof before, so that nobody can change the past unseen: neither role
 * of the server may change or delete a row. A day without events has no proof.
 */
export const usageProofs = pgTable(
  'usage_proofs',
  {
    organizationId: text('organization_id')
      .notNull()
      .references(() => organizations.id, { onDelete: 'cascade' }),
    /** UTC. */
    day: date({ mode: 'string' }).notNull(),
    /** Canonical JSON: the bytes that are hashed and signed. */
    document: text().notNull(),
    hash: text().notNull(),
    /** Of the proof before; zeros for the first. */
    previousHash: text('previous_hash').notNull(),
    keyId: text('key_id').notNull(),
    signature: text().notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull(),
  },
  (table) => [
    primaryKey({ name: 'usage_proofs_pk', columns: [table.organizationId, table.day] }),
    // A chain has no branches, whoever continues it.
    unique('usage_proofs_chain').on(table.organizationId, table.previousHash),
    ...tenantPolicies(table.organizationId),
  ],
)
