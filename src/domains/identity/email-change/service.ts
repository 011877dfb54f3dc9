import { append, NO_ORGANIZATION } from '../../../infra/outbox.ts'
import type { Postgres } from '../../../infra/postgres.ts'
import { deleteProofsOf, deleteProofsOfUser, takeProof } from '../accounts/store.ts'
import type { Ask } from '../ask.ts'
import type { Device } from '../device.ts'
import { usedOrExpired } from '../errors.ts'
import { EMAIL_CHANGE_REQUESTED, EMAIL_CHANGED } from '../fact-kinds.ts'
import type { PasswordCheck } from '../password-check.ts'
import { hashToken } from '../refresh-token.ts'
import type { SignInLog } from '../sign-in-log.ts'
import { findUser } from '../store.ts'
import { replaceEmail } from './store.ts'

const LINK_TTL_MS = 24 * 3_600_000
const UNIQUE_TAKEN = '23505'

export type EmailChangeService = ReturnType<typeof createEmailChangeService>

interface Dependencies {
  postgres: Postgres
  ask: Ask
  checkPassword: PasswordCheck
  signInLog: SignInLog
}

/** Gives an account another address, once the person has shown that they read it. */
export function createEmailChangeService({ postgres, ask, checkPassword, signInLog }: Dependencies) {
  return {
    /** Asks for the change. Whether the address is taken is found out where the mail is written, so that the answer does not tell. */
    async request(userId: string, { email, password }: { email: string; password: string }, ip: string) {
      await checkPassword(userId, password, ip, '/password')
      await ask({ purpose: 'email_change', email, userId }, EMAIL_CHANGE_REQUESTED, LINK_TTL_MS)
    },

    /**
     * Changes the address and tells the old one. A link for a new password that waits in the old mailbox goes, or it would belong to
     * whoever has that address next.
     */
    async confirm(token: string, device: Device): Promise<void> {
      const change = postgres.withSystem(async (tx) => {
        const proof = await takeProof(tx, 'email_change', hashToken(token))
        const user = proof?.userId ? await findUser(tx, proof.userId) : undefined
        if (!proof || !user) throw usedOrExpired()
        const [before, after] = [{ email: user.email }, { email: proof.email }]
        await replaceEmail(tx, user.id, after.email)
        await deleteProofsOfUser(tx, user.id)
        await deleteProofsOf(tx, 'password_reset', before.email)
        const payload = { userId: user.id, ...before }
        await append(tx, { organizationId: NO_ORGANIZATION, kind: EMAIL_CHANGED, payload })
        await signInLog(tx, user.id, device, { action: 'account.email_changed', before, after })
      })
      await change.catch((error: { cause?: { code?: string } }) => {
        // Somebody has it by now. It is said as of a link that was used, or this would tell who has an account.
        throw error.cause?.code === UNIQUE_TAKEN ? usedOrExpired() : error
      })
    },
  }
}
