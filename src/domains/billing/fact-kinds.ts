/** What happens to subscriptions, as the outbox calls it. */

/** What the door counts and refuses by has changed; the payload is `{}`. */
export const QUOTA_POLICY_CHANGED = 'quota.policy_changed'
/** Somebody or the time has changed a subscription; the payload is `{ subscriptionId, status, planKey }`. */
export const SUBSCRIPTION_CHANGED = 'subscription.changed'
/** A period is over, and its usage can be billed once all of it is there; the payload is `{ periodId }`. */
export const PERIOD_ENDED = 'billing.period_ended'
/** There are charges that are not to wait for the end of a period; the payload is `{}`. */
export const CHARGES_DUE = 'billing.charges_due'
