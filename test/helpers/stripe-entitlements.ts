import { sql } from 'drizzle-orm'
import pg from 'pg'
import type { ProviderPorts } from '../../src/domains/billing/index.ts'

/** Two tables that stand for what the rest of billing makes of Stripe. */
export async function makeEntitlementTables(ownerUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl })
  await client.connect()
  await client.query(`
    create table test_entitlements (organization_id text primary key, subscription_id text, status text, plan_version int);
    create table test_payments (organization_id text, invoice_id text primary key, total bigint, count int default 1);
    grant select, insert, update on test_entitlements, test_payments to meterhouse_app, meterhouse_system`)
  await client.end()
}

/** Writes down what an organization may use and what was paid. A payment that was told twice has a count of two. */
export const recordEntitlements: ProviderPorts = {
  entitle: async (tx, { organizationId, id, status, planVersion }) => {
    await tx.execute(sql`insert into test_entitlements values (${organizationId}, ${id}, ${status}, ${planVersion})
      on conflict (organization_id) do update set subscription_id = excluded.subscription_id, status = excluded.status,
        plan_version = excluded.plan_version`)
  },
  paid: async (tx, { organizationId, id, total }) => {
    await tx.execute(sql`insert into test_payments (organization_id, invoice_id, total) values (${organizationId}, ${id}, ${total})
      on conflict (invoice_id) do update set count = test_payments.count + 1`)
  },
  givenUp: async () => {},
}
