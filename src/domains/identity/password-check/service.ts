import type { Postgres } from '../../../infra/postgres.ts'
import type { Attempts } from '../attempts.ts'
import { notYourPassword } from '../errors.ts'
import type { PasswordCheck } from '../password-check.ts'
import type { Passwords } from '../passwords.ts'
import { findUserWithPassword } from '../store.ts'

interface Dependencies {
  postgres: Postgres
  passwords: Passwords
  attempts: Attempts
}

/** See PasswordCheck. */
export function createPasswordCheck({ postgres, passwords, attempts }: Dependencies): PasswordCheck {
  return async (userId, password, ip, path) => {
    await attempts.begin(userId, ip)
    const user = await postgres.withSystem((tx) => findUserWithPassword(tx, userId))
    const matches = await passwords.matches(password, user?.passwordHash)
    if (!user || !matches) throw notYourPassword(path)
    await attempts.succeeded(userId, ip)
    return user
  }
}
