/** What happens to members, as the outbox calls it. */

/** Somebody left or was removed; the payload is `{ userId }`. */
export const MEMBERSHIP_ENDED = 'organizations.membership_ended'
