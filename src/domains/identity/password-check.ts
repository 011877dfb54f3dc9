import type { Postgres } from '../../infra/postgres.ts'
import type { Attempts } from './attempts.ts'
import { wrongPassword } from './errors.ts'
import type { Passwords } from './passwords.ts'
import { findUserWithPassword } from './store.ts'

type Field = '/password' | '/currentPassword'

export type PasswordCheck = ReturnType<typeof createPasswordCheck>

interface Dependencies {
  postgres: Postgres
  passwords: Passwords
  attempts: Attempts
}

/**
 * Asks the signed-in person for their password once more, before what a borrowed device must not do. Guessing is slowed down as it is at
 * the sign-in. Gives the person as they were when the password was found right.
 */
export function createPasswordCheck({ postgres, passwords, attempts }: Dependencies) {
  return async (userId: string, password: string, ip: string, path: Field) => {
    await attempts.begin(userId, ip)
    const user = await postgres.withSystem((tx) => findUserWithPassword(tx, userId))
    const matches = await passwords.matches(password, user?.passwordHash)
    if (!user || !matches) throw notYourPassword(path)
    await attempts.succeeded(userId, ip)
    return user
  }
}

export const notYourPassword = (path: Field) =>
  wrongPassword('Nothing was changed.', { errors: [{ path, message: 'is not your password' }] })
