/** What happens to keys and projects, as the outbox calls it. */

/** A key was revoked; the payload is `{ keyId, projectId }`. */
export const KEY_REVOKED = 'api_key.revoked'
/** A key was changed, or was given an end that comes later; the payload is `{ keyId, projectId }`. */
export const KEY_CHANGED = 'api_key.changed'
/** A project was changed; the payload is `{ projectId }`. */
export const PROJECT_CHANGED = 'project.changed'
