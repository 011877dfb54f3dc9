import { sql } from 'drizzle-orm'
import type { SystemTx } from '../../../infra/postgres.ts'

export interface KeyUse {
  organizationId: string
  keyId: string
  usedAtMs: number
}

/** Writes when keys were used, each unless a later use is known. Rows are locked in one order, as several processes do this at once. */
export async function writeKeyUses(tx: SystemTx, uses: readonly KeyUse[]): Promise<void> {
  const rows = JSON.stringify(uses.map(({ organizationId, keyId, usedAtMs }) => [organizationId, keyId, usedAtMs]))
  await tx.execute(sql`
    with used as (
      select u->>0 as organization_id, u->>1 as id, to_timestamp((u->>2)::double precision / 1000) as used_at
      from jsonb_array_elements(${rows}::jsonb) u
    ), known as (
      select k.organization_id, k.id, used.used_at from api_keys k join used using (organization_id, id)
      where k.last_used_at is null or k.last_used_at < used.used_at
      order by k.organization_id, k.id for no key update of k
    )
    update api_keys k set last_used_at = known.used_at from known
    where k.organization_id = known.organization_id and k.id = known.id`)
}
