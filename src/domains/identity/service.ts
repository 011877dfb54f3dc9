import { append, NO_ORGANIZATION } from '../../infra/outbox.ts'
import type { Postgres, SystemTx } from '../../infra/postgres.ts'
import type { OrganizationsService } from '../organizations/index.ts'
import { deleteProofsOfUser } from './accounts/store.ts'
import type { Attempts } from './attempts.ts'
import type { Device } from './device.ts'
import { notYourPassword, wrongCredentials } from './errors.ts'
import { PASSWORD_CHANGED } from './fact-kinds.ts'
import type { PasswordCheck } from './password-check.ts'
import { assertHardToGuess } from './password-rules.ts'
import type { Passwords } from './passwords.ts'
import type { CompleteSignIn, SignIn } from './sign-in.ts'
import type { SignInLog } from './sign-in-log.ts'
import { findUser, findUserByEmail, writePasswordHash } from './store.ts'

export type IdentityService = ReturnType<typeof createIdentityService>

interface Dependencies {
  postgres: Postgres
  organizations: OrganizationsService
  passwords: Passwords
  attempts: Attempts
  secondFactor: {
    completeSignIn: CompleteSignIn
    isEnrolled: (tx: SystemTx, userId: string) => Promise<boolean>
  }
  checkPassword: PasswordCheck
  signInLog: SignInLog
  /** Hears of a failed sign-in that could not be written down. */
  onUntold: (error: unknown) => void
  sessions: {
    endWithin: (tx: SystemTx, userId: string, which: { except: string }, endedBy: 'password') => Promise<string[]>
    forget: (sessionIds: readonly string[]) => void
  }
}

export function createIdentityService(dependencies: Dependencies) {
  const { postgres, organizations, passwords, attempts, secondFactor } = dependencies
  const { checkPassword, signInLog, sessions, onUntold } = dependencies

  /**
   * Tells the organizations of a person that somebody had the wrong password. The answer does not wait for it, or its time would tell
   * that there is an account; nothing has been done, so an entry that is lost with the process leaves no act without one.
   */
  function tellOfFailure(userId: string, device: Device): void {
    postgres.withSystem((tx) => signInLog(tx, userId, device, { action: 'session.refused' })).catch(onUntold)
  }

  return {
    /** Begins a session, or asks for the second factor. Unknown addresses and wrong passwords get the same answer, after the same work. */
    async login(email: string, password: string, device: Device): Promise<SignIn> {
      await attempts.begin(email, device.ip)
      const user = await postgres.withSystem((tx) => findUserByEmail(tx, email))
      const matches = await passwords.matches(password, user?.passwordHash)
      if (!user || !matches) {
        const isWorthTelling = await attempts.failed(email, device.ip)
        if (user && isWorthTelling) tellOfFailure(user.id, device)
        throw noSuchAccount()
      }
      await attempts.succeeded(email, device.ip)
      const { id, passwordHash } = user
      const renewed = passwords.isOutdated(passwordHash) ? await passwords.hash(password) : passwordHash
      return secondFactor.completeSignIn(id, device, async (tx) => {
        // A new password ends every session, and must not miss the one of a sign-in with the old that is under way.
        if (!(await writePasswordHash(tx, id, renewed, passwordHash))) throw noSuchAccount()
      })
    },

    /** Changes the password of whoever knows the one before. Every other session ends, in one step with the change. */
    async changePassword(
      person: { userId: string; sessionId: string },
      { currentPassword, newPassword }: { currentPassword: string; newPassword: string },
      device: Device,
    ): Promise<void> {
      const { userId, sessionId } = person
      const user = await checkPassword(userId, currentPassword, device.ip, '/currentPassword')
      await assertHardToGuess(newPassword, '/newPassword', user)
      const passwordHash = await passwords.hash(newPassword)
      const ended = await postgres.withSystem(async (tx) => {
        // Somebody else's change in between makes the password that was checked one of the past.
        if (!(await writePasswordHash(tx, userId, passwordHash, user.passwordHash)))
          throw notYourPassword('/currentPassword')
        await deleteProofsOfUser(tx, userId)
        const sessionIds = await sessions.endWithin(tx, userId, { except: sessionId }, 'password')
        await append(tx, { organizationId: NO_ORGANIZATION, kind: PASSWORD_CHANGED, payload: { userId } })
        await signInLog(tx, userId, device, { action: 'account.password_changed', after: { by: 'person' } })
        return sessionIds
      })
      sessions.forget(ended)
    },

    /** The signed-in person, or undefined when the account is gone. */
    async me(userId: string) {
      const user = await postgres.withSystem(async (tx) => {
        const found = await findUser(tx, userId)
        return found && { ...found, secondFactor: await secondFactor.isEnrolled(tx, userId) }
      })
      return user && { ...user, memberships: await organizations.membershipsOf(userId) }
    },
  }
}

const noSuchAccount = () => wrongCredentials('There is no account with this email and password.')
