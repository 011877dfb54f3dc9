import { newId } from '../../../ids.ts'
import { append, NO_ORGANIZATION } from '../../../infra/outbox.ts'
import type { Postgres, SystemTx } from '../../../infra/postgres.ts'
import type { OrganizationsService } from '../../organizations/index.ts'
import type { Ask } from '../ask.ts'
import type { Attempts } from '../attempts.ts'
import type { Device } from '../device.ts'
import { usedOrExpired } from '../errors.ts'
import { ACCOUNT_MADE, PASSWORD_CHANGED, PASSWORD_RESET_REQUESTED, REGISTRATION_REQUESTED } from '../fact-kinds.ts'
import { assertHardToGuess } from '../password-rules.ts'
import type { Passwords } from '../passwords.ts'
import { hashToken } from '../refresh-token.ts'
import type { Registration } from '../schemas.ts'
import type { SignInLog } from '../sign-in-log.ts'
import { findUserByEmail } from '../store.ts'
import * as store from './store.ts'

const VERIFICATION_TTL_MS = 24 * 3_600_000
const RESET_TTL_MS = 30 * 60_000

export type AccountsService = ReturnType<typeof createAccountsService>

interface Dependencies {
  postgres: Postgres
  organizations: OrganizationsService
  passwords: Passwords
  attempts: Attempts
  ask: Ask
  signInLog: SignInLog
  sessions: {
    endWithin: (tx: SystemTx, userId: string, which: 'all', endedBy: 'password') => Promise<string[]>
    forget: (sessionIds: readonly string[]) => void
  }
}

/**
 * Accounts, and how a person proves that an address is theirs. What a stranger may ask for never looks an address up: the request
 * does the same work for every address, and only the mail, which its owner reads, depends on whether there is an account.
 */
export function createAccountsService(dependencies: Dependencies) {
  const { postgres, organizations, passwords, attempts, ask, signInLog, sessions } = dependencies

  return {
    /** Asks for an account. It is made by `verifyEmail`, so that nobody can occupy an address that they cannot read. */
    async register({ email, name, password, organizationName }: Registration): Promise<void> {
      await assertHardToGuess(password, '/password', { email, name })
      const passwordHash = await passwords.hash(password)
      const asked = { purpose: 'registration', email, name, passwordHash, organizationName } as const
      await ask(asked, REGISTRATION_REQUESTED, VERIFICATION_TTL_MS)
    },

    /** Makes the account that was asked for, with its organization, in one transaction or not at all. */
    async verifyEmail(token: string, device: Device): Promise<void> {
      await postgres.withSystem(async (tx) => {
        const proof = await store.takeProof(tx, 'registration', hashToken(token))
        if (!proof?.passwordHash) throw usedOrExpired()
        const { email, name, passwordHash, organizationName } = proof
        const id = newId('usr')
        if (!(await store.insertUser(tx, { id, email, name: name ?? email, passwordHash }))) throw usedOrExpired()
        await store.deleteProofsOf(tx, 'registration', email)
        await append(tx, { organizationId: NO_ORGANIZATION, kind: ACCOUNT_MADE, payload: { userId: id } })
        // Whoever reads the address acts, although nobody is signed in yet.
        const principal = { kind: 'session', userId: id, sessionId: '', expiresAtMs: 0 } as const
        if (organizationName !== null) await organizations.found(tx, organizationName, id, { principal, ...device })
      })
    },

    /** Asks for a link that sets a new password. */
    async forgotPassword(email: string): Promise<void> {
      await ask({ purpose: 'password_reset', email }, PASSWORD_RESET_REQUESTED, RESET_TTL_MS)
    },

    /** Sets a new password and ends every session: whoever knew the old one is out. Nobody is signed in by it. */
    async resetPassword(token: string, password: string, device: Device): Promise<void> {
      const tokenHash = hashToken(token)
      // Asked before the password is hashed, which is what a guess would want to make us do.
      const owner = await postgres.withSystem(async (tx) => {
        const proof = await store.findProofByToken(tx, 'password_reset', tokenHash)
        return proof && findUserByEmail(tx, proof.email)
      })
      if (!owner) throw usedOrExpired()
      await assertHardToGuess(password, '/password', owner)
      const passwordHash = await passwords.hash(password)
      const { user, ended } = await postgres.withSystem(async (tx) => {
        const proof = await store.takeProof(tx, 'password_reset', tokenHash)
        const user = proof && (await findUserByEmail(tx, proof.email))
        if (!user) throw usedOrExpired()
        await store.replacePasswordHash(tx, user.id, passwordHash)
        await store.deleteProofsOf(tx, 'password_reset', user.email)
        await store.deleteProofsOfUser(tx, user.id)
        const ended = await sessions.endWithin(tx, user.id, 'all', 'password')
        await append(tx, { organizationId: NO_ORGANIZATION, kind: PASSWORD_CHANGED, payload: { userId: user.id } })
        await signInLog(tx, user.id, device, { action: 'account.password_changed', after: { by: 'link' } })
        return { user, ended }
      })
      sessions.forget(ended)
      await attempts.succeeded(user.email, device.ip).catch(() => {
        // The password is set, and the pause that this would have ended ends by itself.
      })
    },
  }
}
