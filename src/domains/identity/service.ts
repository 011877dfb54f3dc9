import type { Postgres, SystemTx } from '../../infra/postgres.ts'
import type { OrganizationsService } from '../organizations/index.ts'
import type { Attempts } from './attempts.ts'
import type { Device } from './device.ts'
import { wrongCredentials, wrongPassword } from './errors.ts'
import { assertHardToGuess } from './password-rules.ts'
import type { Passwords } from './passwords.ts'
import { findUser, findUserByEmail, findUserWithPassword, writePasswordHash } from './store.ts'
import type { Grant } from './tokens.ts'

export type IdentityService = ReturnType<typeof createIdentityService>

interface Dependencies {
  postgres: Postgres
  organizations: OrganizationsService
  passwords: Passwords
  attempts: Attempts
  sessions: {
    start: (userId: string, device: Device, before: (tx: SystemTx) => Promise<void>) => Promise<Grant>
    endWithin: (tx: SystemTx, userId: string, which: { except: string }, endedBy: 'password') => Promise<string[]>
    forget: (sessionIds: readonly string[]) => void
  }
}

export function createIdentityService(dependencies: Dependencies) {
  const { postgres, organizations, passwords, attempts, sessions } = dependencies

  return {
    /** Begins a session. Unknown addresses and wrong passwords get the same answer, after the same work. */
    async login(email: string, password: string, device: Device): Promise<Grant> {
      await attempts.begin(email, device.ip)
      const user = await postgres.withSystem((tx) => findUserByEmail(tx, email))
      const matches = await passwords.matches(password, user?.passwordHash)
      if (!user || !matches) throw noSuchAccount()
      await attempts.succeeded(email, device.ip)
      const { id, passwordHash } = user
      const renewed = passwords.isOutdated(passwordHash) ? await passwords.hash(password) : passwordHash
      return sessions.start(id, device, async (tx) => {
        // A new password ends every session, and must not miss the one of a sign-in with the old that is under way.
        if (!(await writePasswordHash(tx, id, renewed, passwordHash))) throw noSuchAccount()
      })
    },

    /** Changes the password of whoever knows the one before. Every other session ends, in one step with the change. */
    async changePassword(
      person: { userId: string; sessionId: string },
      { currentPassword, newPassword }: { currentPassword: string; newPassword: string },
      ip: string,
    ): Promise<void> {
      const { userId, sessionId } = person
      await attempts.begin(userId, ip)
      const user = await postgres.withSystem((tx) => findUserWithPassword(tx, userId))
      const before = user?.passwordHash
      if (!user || !(await passwords.matches(currentPassword, before))) throw notTheCurrentPassword()
      await attempts.succeeded(userId, ip)
      await assertHardToGuess(newPassword, '/newPassword', user)
      const passwordHash = await passwords.hash(newPassword)
      const ended = await postgres.withSystem(async (tx) => {
        // Somebody else's change in between makes the password that was checked one of the past.
        if (!(await writePasswordHash(tx, userId, passwordHash, before))) throw notTheCurrentPassword()
        return sessions.endWithin(tx, userId, { except: sessionId }, 'password')
      })
      sessions.forget(ended)
    },

    /** The signed-in person, or undefined when the account is gone. */
    async me(userId: string) {
      const user = await postgres.withSystem((tx) => findUser(tx, userId))
      return user && { ...user, memberships: await organizations.membershipsOf(userId) }
    },
  }
}

const noSuchAccount = () => wrongCredentials('There is no account with this email and password.')
const notTheCurrentPassword = () =>
  wrongPassword('The password was not changed.', {
    errors: [{ path: '/currentPassword', message: 'is not your password' }],
  })
