import { newId } from '../../../ids.ts'
import { append, NO_ORGANIZATION } from '../../../infra/outbox.ts'
import type { Postgres, SystemTx } from '../../../infra/postgres.ts'
import type { OrganizationsService } from '../../organizations/index.ts'
import type { Attempts } from '../attempts.ts'
import { linkNotValid } from '../errors.ts'
import { PASSWORD_RESET_REQUESTED, REGISTRATION_REQUESTED } from '../fact-kinds.ts'
import type { MailTokens } from '../mail-token.ts'
import { assertHardToGuess } from '../password-rules.ts'
import type { Passwords } from '../passwords.ts'
import { hashToken } from '../refresh-token.ts'
import type { Registration } from '../schemas.ts'
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
  mailTokens: MailTokens
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
  const { postgres, organizations, passwords, attempts, mailTokens, sessions } = dependencies

  type Asked = Omit<Parameters<typeof store.insertProof>[1], 'id' | 'tokenHash' | 'expiresAt'>

  /** Writes down what was asked for and has it mailed, in one step. */
  async function ask(proof: Asked, kind: string, ttlMs: number): Promise<void> {
    const id = newId('prf')
    const tokenHash = hashToken(mailTokens.tokenOf(id))
    await postgres.withSystem(async (tx) => {
      await store.insertProof(tx, { ...proof, id, tokenHash, expiresAt: new Date(Date.now() + ttlMs) })
      await append(tx, { organizationId: NO_ORGANIZATION, kind, payload: { proofId: id } })
    })
  }

  return {
    /** Asks for an account. It is made by `verifyEmail`, so that nobody can occupy an address that they cannot read. */
    async register({ email, name, password, organizationName }: Registration): Promise<void> {
      await assertHardToGuess(password, '/password', { email, name })
      const passwordHash = await passwords.hash(password)
      const asked = { purpose: 'registration', email, name, passwordHash, organizationName } as const
      await ask(asked, REGISTRATION_REQUESTED, VERIFICATION_TTL_MS)
    },

    /** Makes the account that was asked for, with its organization, in one transaction or not at all. */
    async verifyEmail(token: string): Promise<void> {
      await postgres.withSystem(async (tx) => {
        const proof = await store.takeProof(tx, 'registration', hashToken(token))
        if (!proof?.passwordHash) throw usedOrExpired()
        const { email, name, passwordHash, organizationName } = proof
        const id = newId('usr')
        if (!(await store.insertUser(tx, { id, email, name: name ?? email, passwordHash }))) throw usedOrExpired()
        if (organizationName !== null) await organizations.found(tx, organizationName, id)
        await store.deleteProofsOf(tx, 'registration', email)
      })
    },

    /** Asks for a link that sets a new password. */
    async forgotPassword(email: string): Promise<void> {
      await ask({ purpose: 'password_reset', email }, PASSWORD_RESET_REQUESTED, RESET_TTL_MS)
    },

    /** Sets a new password and ends every session: whoever knew the old one is out. Nobody is signed in by it. */
    async resetPassword(token: string, password: string, ip: string): Promise<void> {
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
        return { user, ended: await sessions.endWithin(tx, user.id, 'all', 'password') }
      })
      sessions.forget(ended)
      await attempts.succeeded(user.email, ip).catch(() => {
        // The password is set, and the pause that this would have ended ends by itself.
      })
    },
  }
}

const usedOrExpired = () =>
  linkNotValid('Ask for a new link.', {
    errors: [
      { path: '/token', message: 'is of no link that can still be used: it was used, is too old or was never sent' },
    ],
  })
