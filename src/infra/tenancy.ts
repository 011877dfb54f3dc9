import { sql } from 'drizzle-orm'
import { type AnyPgColumn, pgPolicy, pgRole } from 'drizzle-orm/pg-core'

/**
 * The role that the server signs in with. It owns nothing and every row that it sees passes a policy.
 * `meterhouse_system` is entered for one transaction by `withSystem`, for look-ups made before the organization is known.
 */
export const appRole = pgRole('meterhouse_app').existing()
export const systemRole = pgRole('meterhouse_system').existing()

/**
 * The organization of this transaction. A setting that was local to an earlier transaction reads back as '' and not as NULL,
 * hence NULLIF; the scalar sub-select makes Postgres evaluate it once per statement instead of once per row.
 */
export const currentTenant = sql.raw(`(select nullif(current_setting('app.organization_id', true), ''))`)

/** The wall of a tenant table: the app role sees and writes one organization's rows, the system role all. */
export function tenantPolicies(organizationId: AnyPgColumn) {
  const own = sql`${organizationId} = ${currentTenant}`
  return [
    pgPolicy('tenant', { for: 'all', to: appRole, using: own, withCheck: own }),
    pgPolicy('system', { for: 'all', to: systemRole, using: sql`true`, withCheck: sql`true` }),
  ]
}
