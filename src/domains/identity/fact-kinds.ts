/** What happens to sessions and accounts, as the outbox calls it. */

/** Sessions ended; the payload is `{ sessionIds }`. */
export const SESSIONS_ENDED = 'sessions.ended'
/** A refresh token came back after its grace; the payload is `{ userId, sessionId }`. */
export const REFRESH_TOKEN_REUSED = 'sessions.refresh_token_reused'
/** Somebody asked for an account; the payload is `{ proofId }`. */
export const REGISTRATION_REQUESTED = 'identity.registration_requested'
/** Somebody asked for a new password; the payload is `{ proofId }`. */
export const PASSWORD_RESET_REQUESTED = 'identity.password_reset_requested'
