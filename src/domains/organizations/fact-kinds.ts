/** What happens to organizations and their members, as the outbox calls it. */

/** Somebody left or was removed; the payload is `{ userId }`. */
export const MEMBERSHIP_ENDED = 'organizations.membership_ended'
/** Somebody is to be asked by mail to join; the payload is `{ invitationId }`. */
export const INVITED = 'organizations.invited'
/** Its keys act no more, or act again, because its owner asked for its deletion or took that back; the payload is `{}`. */
export const KEYS_SWITCHED = 'organizations.keys_switched'
/** All of it is deleted, its events among it; the payload is `{}`. */
export const ORGANIZATION_DELETED = 'organizations.deleted'

/** What members may see of projects became less; the payload is `{ userIds }`. */
export const MEMBERS_NARROWED = 'organizations.members_narrowed'

/** An organization was frozen or thawed; the payload is `{ frozen }`. */
export const FREEZE_CHANGED = 'organizations.freeze_changed'
