import { sql } from 'drizzle-orm'
import type { TenantTx } from '../../../infra/postgres.ts'

/** Whether the organization of the transaction is there. */
export async function isThere(tx: TenantTx, organizationId: string): Promise<boolean> {
  const { rows } = await tx.execute(sql`select 1 from organizations where id = ${organizationId}`)
  return rows.length > 0
}
