import type { PasswordField } from './errors.ts'

/**
 * Asks the signed-in person for their password once more, before what a borrowed device must not do. Guessing is slowed down as it is at
 * the sign-in. Gives the person as they were when the password was found right.
 */
export type PasswordCheck = (
  userId: string,
  password: string,
  ip: string,
  path: PasswordField,
) => Promise<{ id: string; email: string; name: string; passwordHash: string }>
