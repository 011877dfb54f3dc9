/** How many days the plan of an organization keeps events, null for good; asking for more throws 409. */
export interface RetentionLimit {
  maxDays: number | null
  assertAllows: (days: number | null | undefined) => void
}

/** For how many days events are kept: what the project wants, and never longer than the plan keeps them. Null is for good. */
export function keptDays(wanted: number | null, maxDays: number | null): number | null {
  if (wanted === null || maxDays === null) return wanted ?? maxDays
  return Math.min(wanted, maxDays)
}
