import { type SQL, sql } from 'drizzle-orm'

export interface CountedHour extends Record<string, unknown> {
  hour: Date | string
  /** As the driver gives it. */
  quantity: string
  complete: boolean
  /** What was frozen for it before, and how many rows that took. */
  frozen: string
  revisions: number
}

/** The events of an organization by hour, with what was frozen for Stripe before. The windows are another domain's, of which sums are read. */
export function countedHours(
  organizationId: string,
  { meterKey, from, to }: { meterKey: string; from: Date; to: Date },
): SQL {
  const [start, end] = [from.toISOString(), to.toISOString()]
  return sql`
    with counted as (
      select window_start as hour, sum(events) as quantity, bool_and(complete) as complete from usage_windows
      where organization_id = ${organizationId} and window_start >= ${start}::timestamptz and window_start < ${end}::timestamptz
      group by window_start
    ), frozen as (
      select hour, sum(quantity) as quantity, count(*)::int as revisions from stripe_usage_outbox
      where organization_id = ${organizationId} and meter_key = ${meterKey}
        and hour >= ${start}::timestamptz and hour < ${end}::timestamptz
      group by hour
    )
    select hour, counted.quantity::text as quantity, counted.complete, coalesce(frozen.quantity, 0)::text as frozen,
      coalesce(frozen.revisions, 0) as revisions
    from counted left join frozen using (hour)
    where counted.quantity <> coalesce(frozen.quantity, 0) order by hour`
}
