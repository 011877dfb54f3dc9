import type { Postgres, SystemTx } from '../../../infra/postgres.ts'
import type { OrganizationsService } from '../../organizations/index.ts'
import type { Device } from '../device.ts'
import { notYourPassword } from '../errors.ts'
import type { PasswordCheck } from '../password-check.ts'
import type { SignInLog } from '../sign-in-log.ts'
import { deleteRefreshTokens, deleteUser, lockUser } from './store.ts'

export type DeletionService = ReturnType<typeof createDeletionService>

interface Dependencies {
  postgres: Postgres
  organizations: OrganizationsService
  checkPassword: PasswordCheck
  signInLog: SignInLog
  sessions: {
    endWithin: (tx: SystemTx, userId: string, which: 'all', endedBy: 'deletion') => Promise<string[]>
    forget: (sessionIds: readonly string[]) => void
  }
}

/** Deletes an account with all that belongs to the person alone. What they did in an organization stays in its audit log. */
export function createDeletionService(dependencies: Dependencies) {
  const { postgres, organizations, checkPassword, signInLog, sessions } = dependencies
  return async (userId: string, password: string, device: Device): Promise<void> => {
    const { passwordHash } = await checkPassword(userId, password, device.ip, '/password')
    const ended = await postgres.withSystem(async (tx) => {
      // First the person, so that nobody makes them an owner meanwhile; then tokens before sessions, as a refresh takes them.
      const user = await lockUser(tx, userId)
      if (user?.passwordHash !== passwordHash) throw notYourPassword('/password')
      const organizationIds = await organizations.leaveAll(tx, userId)
      await deleteRefreshTokens(tx, userId)
      const sessionIds = await sessions.endWithin(tx, userId, 'all', 'deletion')
      await signInLog(tx, userId, device, { action: 'account.deleted', organizationIds })
      // After the entries, which name the person; all that goes with them is locked by now.
      await deleteUser(tx, user)
      return sessionIds
    })
    sessions.forget(ended)
  }
}
