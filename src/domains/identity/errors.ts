import { defineProblem } from '../../errors.ts'

export const wrongCredentials = defineProblem('identity.wrong_credentials', 401, 'Wrong email or password')
export const wrongPassword = defineProblem('identity.wrong_password', 422, 'The current password is wrong')
export const tooManyAttempts = defineProblem('identity.too_many_attempts', 429, 'Too many failed attempts')
export const tooManyMails = defineProblem('identity.too_many_mails', 429, 'Too many mails to this address')
export const csrfMismatch = defineProblem('auth.csrf_token_invalid', 403, 'The csrf token is missing or wrong')
export const sessionNotFound = defineProblem('identity.session_not_found', 404, 'Not found')
export const providerNotFound = defineProblem('auth.provider_not_found', 404, 'Not found')
export const flowNotValid = defineProblem('auth.flow_not_valid', 422, 'This sign-in cannot be finished')
export const providerFailed = defineProblem('auth.provider_failed', 502, 'The sign-in at the other service failed')
export const providerRefused = defineProblem('auth.provider_refused', 403, 'The other service does not sign you in')
export const identityNotFound = defineProblem('identity.identity_not_found', 404, 'Not found')
export const lastWayIn = defineProblem('identity.last_way_in', 409, 'It is the only way into the account')
export const linkNotValid = defineProblem('identity.link_not_valid', 422, 'The link is not valid')
export const wrongCode = defineProblem('identity.wrong_code', 422, 'The code is wrong')
export const challengeOver = defineProblem('identity.challenge_over', 401, 'The sign-in has to begin anew')
export const alreadyEnrolled = defineProblem('identity.second_factor_enrolled', 409, 'There is a second factor already')
export const notEnrolled = defineProblem('identity.second_factor_absent', 409, 'There is no second factor')

/** The field that a request has the person's present password in. */
export type PasswordField = '/password' | '/currentPassword'

export const notYourPassword = (path: PasswordField) =>
  wrongPassword('Nothing was changed.', { errors: [{ path, message: 'is not your password' }] })

/** Of every link that does nothing, whatever the reason. */
export const usedOrExpired = () =>
  linkNotValid('Ask for a new link.', {
    errors: [
      { path: '/token', message: 'is of no link that can still be used: it was used, is too old or was never sent' },
    ],
  })
