import { sql } from 'drizzle-orm'
import type { TenantTx } from '../../../../infra/postgres.ts'

interface Row extends Record<string, unknown> {
  number: string | null
  id: string
  status: string
  total: string
  currency: string
  billed_at: string | null
  created_at: string
  is_moving: boolean
}

/**
 * All invoices of ours that Stripe collects and all of Stripe's, as they are at one moment. Stripe makes its invoice of the same at the
 * end of a period, and where there was none before, at the start of the first. They are moving while a fact of the kinds is not carried.
 */
export async function readSides(tx: TenantTx, organizationId: string, factKinds: readonly string[]) {
  const kinds = sql.join(
    factKinds.map((kind) => sql`${kind}`),
    sql`, `,
  )
  const { rows } = await tx.execute<Row>(sql`
    with sides as (
      select number, id, status, total, currency, created_at, coalesce(document::jsonb #>> '{period,endsAt}',
        jsonb_path_query_first(document::jsonb, '$.lines[*] ? (@.kind == "base").from') #>> '{}')::timestamptz as billed_at
      from invoices
      where organization_id = ${organizationId} and status <> 'draft' and document::jsonb ->> 'collectedBy' = 'stripe'
      union all
      select null, id, status, total, currency, created_at, period_ends_at from stripe_invoices
      where organization_id = ${organizationId}
    )
    select number, id, status, total::text as total, currency, extract(epoch from billed_at)::text as billed_at,
      extract(epoch from created_at)::text as created_at,
      exists (select from outbox where organization_id = ${organizationId} and published_at is null and kind in (${kinds}))
        as is_moving
    from sides order by created_at, id`)
  const sides = rows.map(({ number, id, status, total, currency, billed_at, created_at }) => ({
    ...{ number, id, status, currency },
    total: BigInt(total),
    billedAtMs: billed_at === null ? null : Math.round(Number(billed_at) * 1000),
    createdAtMs: Math.round(Number(created_at) * 1000),
  }))
  return {
    ours: sides.flatMap(({ number, ...side }) => (number === null ? [] : [{ ...side, number }])),
    theirs: sides.filter(({ number }) => number === null),
    isMoving: rows[0]?.is_moving ?? false,
  }
}
