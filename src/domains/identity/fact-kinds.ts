/** What happens to sessions and accounts, as the outbox calls it. */

/** Sessions ended; the payload is `{ sessionIds }`. */
export const SESSIONS_ENDED = 'sessions.ended'
/** A refresh token came back after its grace; the payload is `{ userId, sessionId }`. */
export const REFRESH_TOKEN_REUSED = 'sessions.refresh_token_reused'
/** Somebody asked for an account; the payload is `{ proofId }`. */
export const REGISTRATION_REQUESTED = 'identity.registration_requested'
/** An account was made; the payload is `{ userId }`. */
export const ACCOUNT_MADE = 'identity.account_made'
/** Somebody signed in where they never did before; the payload is `{ userId, sessionId }`. */
export const NEW_DEVICE = 'identity.new_device'
/** A person has a new password; the payload is `{ userId }`. */
export const PASSWORD_CHANGED = 'identity.password_changed'
/** A person is to be told something by mail; the payload is `{ userId, subject, paragraphs }`, plain text without a secret. */
export const NOTICE = 'identity.notice'
/** A person wants another address; the payload is `{ proofId }`. */
export const EMAIL_CHANGE_REQUESTED = 'identity.email_change_requested'
/** A person has another address; the payload is `{ userId, email }` with the address before. */
export const EMAIL_CHANGED = 'identity.email_changed'
/** Somebody asked for a new password; the payload is `{ proofId }`. */
export const PASSWORD_RESET_REQUESTED = 'identity.password_reset_requested'
/** Signing in asks for a second factor from now on; the payload is `{ userId }`. */
export const SECOND_FACTOR_ENROLLED = 'identity.second_factor_enrolled'
/** Signing in asks for none anymore; the payload is `{ userId }`. */
export const SECOND_FACTOR_REMOVED = 'identity.second_factor_removed'
/** Somebody signed in with a recovery code; the payload is `{ userId }`. */
export const RECOVERY_CODE_USED = 'identity.recovery_code_used'
/** A person has other recovery codes; the payload is `{ userId }`. */
export const RECOVERY_CODES_RENEWED = 'identity.recovery_codes_renewed'
/** Another service signs a person in from now on, or no more; the payload is `{ userId, providerId }`. */
export const IDENTITY_LINKED = 'identity.identity_linked'
export const IDENTITY_UNLINKED = 'identity.identity_unlinked'
