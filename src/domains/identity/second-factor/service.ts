import { toString as qrCodeOf } from 'qrcode'
import { append, NO_ORGANIZATION } from '../../../infra/outbox.ts'
import type { Postgres, SystemTx } from '../../../infra/postgres.ts'
import type { Attempts } from '../attempts.ts'
import type { Device } from '../device.ts'
import { alreadyEnrolled, challengeOver, notEnrolled, wrongCode } from '../errors.ts'
import {
  RECOVERY_CODE_USED,
  RECOVERY_CODES_RENEWED,
  SECOND_FACTOR_ENROLLED,
  SECOND_FACTOR_REMOVED,
} from '../fact-kinds.ts'
import type { PasswordCheck } from '../password-check.ts'
import { holdPasswordHash, listIdentities } from '../providers/store.ts'
import type { CompleteSignIn, SignIn } from '../sign-in.ts'
import type { SignInLog } from '../sign-in-log.ts'
import type { Grant } from '../tokens.ts'
import { type Challenges, stampOf } from './challenges.ts'
import { newAuthenticator, stepOf } from './codes.ts'
import type { OwnerProof } from './schemas.ts'
import type { Secrets } from './secrets.ts'
import * as store from './store.ts'

export type SecondFactorService = ReturnType<typeof createSecondFactorService>
export type Proof = { code: string } | { recoveryCode: string }

/** Wrong codes pause the account wherever they come from: whoever sends one has the password already. */
const EVERY_NETWORK = '0.0.0.0'

interface Dependencies {
  postgres: Postgres
  attempts: Attempts
  checkPassword: PasswordCheck
  signInLog: SignInLog
  /** Closes the sockets of a person, inside a transaction of the caller's: who may still watch comes back. */
  endWatching: (tx: SystemTx, userId: string) => Promise<void>
  secrets: Secrets
  challenges: Challenges
  start: (
    userId: string,
    device: Device,
    before: (tx: SystemTx) => Promise<void>,
    told?: (tx: SystemTx) => Promise<void>,
  ) => Promise<Grant>
}

/** The second factor of a person: codes of an authenticator, each accepted once, and codes that stand in for it. */
export function createSecondFactorService(dependencies: Dependencies) {
  const { postgres, attempts, checkPassword, signInLog, endWatching, secrets, challenges, start } = dependencies
  const attemptsOf = (userId: string) => [`second-factor ${userId}`, EVERY_NETWORK] as const

  /** Throws unless the code is good, and uses it up. What a secret of before has sealed is sealed anew. */
  async function takeCode(tx: SystemTx, userId: string, code: string, confirmed: boolean): Promise<void> {
    const factor = await store.findSecondFactor(tx, userId)
    if (!factor || (factor.confirmedAt !== null) !== confirmed) throw notEnrolled('Begin with an enrolment.')
    const { sealedSecret: before } = factor
    const { secret, isOutdated } = secrets.open(userId, before)
    const step = stepOf(secret, code)
    const sealedSecret = isOutdated ? secrets.seal(userId, secret) : before
    if (step === undefined || !(await store.takeStep(tx, userId, step, { before, sealedSecret })))
      throw wrong('/code', 'is wrong, too old or was used before')
  }

  async function takeProof(tx: SystemTx, userId: string, proof: Proof): Promise<void> {
    if ('code' in proof) return takeCode(tx, userId, proof.code, true)
    if (!(await store.takeRecoveryCode(tx, userId, secrets.hashesOf(userId, proof.recoveryCode))))
      throw wrong('/recoveryCode', 'is wrong or was used before')
  }

  async function writeRecoveryCodes(tx: SystemTx, userId: string): Promise<string[]> {
    const codes = secrets.newRecoveryCodes()
    const hashes = codes.map((code) => secrets.hashOf(userId, code))
    await store.replaceRecoveryCodes(tx, userId, hashes)
    return codes
  }

  /** Tells the person by mail and their organizations by the audit log, in the transaction of what happened. */
  async function tell(tx: SystemTx, userId: string, device: Device, told: { kind: string; action: string }) {
    await append(tx, { organizationId: NO_ORGANIZATION, kind: told.kind, payload: { userId } })
    await signInLog(tx, userId, device, { action: told.action })
  }

  /** What a challenge stands on: it is spoilt by another password and by every way into the account that comes or goes. */
  async function stampWithin(tx: SystemTx, userId: string): Promise<string> {
    const hash = await holdPasswordHash(tx, userId)
    const identities = await listIdentities(tx, userId)
    return stampOf([hash ?? '', ...identities.map(({ id }) => id)])
  }

  /** Does something with a code in one transaction, and counts the try before. */
  async function withCode<T>(userId: string, work: (tx: SystemTx) => Promise<T>): Promise<T> {
    await attempts.begin(...attemptsOf(userId))
    const result = await postgres.withSystem(work)
    await attempts.succeeded(...attemptsOf(userId))
    return result
  }

  return {
    async enroll(userId: string, password: string, ip: string) {
      const { email } = await checkPassword(userId, password, ip, '/password')
      const { secret, otpauthUri } = newAuthenticator(email)
      const sealed = secrets.seal(userId, secret)
      if (!(await postgres.withSystem((tx) => store.putPending(tx, userId, sealed))))
        throw alreadyEnrolled('Remove the second factor first.')
      return { secret, otpauthUri, qrCode: await qrCodeOf(otpauthUri, { type: 'svg' }) }
    },

    confirm: (userId: string, code: string, device: Device) =>
      withCode(userId, async (tx) => {
        await takeCode(tx, userId, code, false)
        const recoveryCodes = await writeRecoveryCodes(tx, userId)
        await tell(tx, userId, device, { kind: SECOND_FACTOR_ENROLLED, action: 'account.second_factor_enrolled' })
        return { recoveryCodes }
      }),

    async renewRecoveryCodes(userId: string, { password, code }: OwnerProof, device: Device) {
      await checkPassword(userId, password, device.ip, '/password')
      return withCode(userId, async (tx) => {
        await takeCode(tx, userId, code, true)
        const recoveryCodes = await writeRecoveryCodes(tx, userId)
        await tell(tx, userId, device, { kind: RECOVERY_CODES_RENEWED, action: 'account.recovery_codes_renewed' })
        return { recoveryCodes }
      })
    },

    async remove(userId: string, { password, code }: OwnerProof, device: Device): Promise<void> {
      await checkPassword(userId, password, device.ip, '/password')
      await withCode(userId, async (tx) => {
        await takeCode(tx, userId, code, true)
        await store.deleteSecondFactor(tx, userId)
        await endWatching(tx, userId)
        await tell(tx, userId, device, { kind: SECOND_FACTOR_REMOVED, action: 'account.second_factor_removed' })
      })
    },

    isEnrolled: async (tx: SystemTx, userId: string): Promise<boolean> =>
      Boolean((await store.findSecondFactor(tx, userId))?.confirmedAt),

    /** See CompleteSignIn. */
    async completeSignIn(...[userId, device, before]: Parameters<CompleteSignIn>): Promise<SignIn> {
      const factor = await postgres.withSystem((tx) => store.findSecondFactor(tx, userId))
      if (!factor?.confirmedAt) return start(userId, device, before)
      const stamp = await postgres.withSystem(async (tx) => {
        await before(tx)
        return stampWithin(tx, userId)
      })
      return challenges.issue({ userId, stamp }, device)
    },

    /** Answers a challenge: the session begins in the transaction that uses the code up. */
    async answer(challenge: string, proof: Proof, device: Device): Promise<Grant> {
      const asked = await challenges.try(challenge, device)
      if (!asked) throw beginAnew()
      const { userId, stamp } = asked
      await attempts.begin(...attemptsOf(userId))
      const take = async (tx: SystemTx) => {
        // A new password in between ends every session, and must not miss this one.
        if ((await stampWithin(tx, userId)) !== stamp) throw beginAnew()
        await takeProof(tx, userId, proof)
      }
      const told = async (tx: SystemTx) => {
        if ('recoveryCode' in proof)
          await tell(tx, userId, device, { kind: RECOVERY_CODE_USED, action: 'account.recovery_code_used' })
      }
      const grant = await start(userId, device, take, told)
      await challenges.end(challenge)
      await attempts.succeeded(...attemptsOf(userId))
      return grant
    },
  }
}

const beginAnew = () => challengeOver('The challenge is over or not known: sign in again.')
const wrong = (path: '/code' | '/recoveryCode', message: string) =>
  wrongCode('Nothing was done.', { errors: [{ path, message }] })
