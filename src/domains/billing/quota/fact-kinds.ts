/** What happens to quotas, as the outbox calls it. */

/** The events of a period are used up; the payload is `{ periodId, limit, mode }`. Once for each period. */
export const QUOTA_REACHED = 'quota.reached'
/** Events are taken again that were refused or held; the payload is `{ periodId }` of the period that had run out. Once for each. */
export const QUOTA_RESUMED = 'quota.resumed'
