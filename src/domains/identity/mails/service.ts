import type { Mail } from '../../../infra/mail.ts'
import type { Fact } from '../../../infra/outbox.ts'
import type { Postgres, SystemTx } from '../../../infra/postgres.ts'
import { INVITED, invitationToMail } from '../../organizations/index.ts'
import { countProofsBefore, deleteProof, findProof, type ProofRow } from '../accounts/store.ts'
import { deviceName } from '../device.ts'
import {
  ACCOUNT_MADE,
  EMAIL_CHANGE_REQUESTED,
  EMAIL_CHANGED,
  IDENTITY_LINKED,
  IDENTITY_UNLINKED,
  NEW_DEVICE,
  NOTICE,
  PASSWORD_CHANGED,
  PASSWORD_RESET_REQUESTED,
  RECOVERY_CODE_USED,
  RECOVERY_CODES_RENEWED,
  REFRESH_TOKEN_REUSED,
  REGISTRATION_REQUESTED,
  SECOND_FACTOR_ENROLLED,
  SECOND_FACTOR_REMOVED,
} from '../fact-kinds.ts'
import type { MailTokens } from '../mail-token.ts'
import { findSession } from '../sessions/store.ts'
import { findUser, findUserByEmail } from '../store.ts'
import * as notices from './notices.ts'
import {
  addressTakenMail,
  type Content,
  GREETING,
  invitationMail,
  passwordResetMail,
  render,
  reuseAlarmMail,
  verificationMail,
} from './templates.ts'

/** What a job is told: which fact, and what it says. */
export type MailFact = Pick<Fact, 'id' | 'kind' | 'payload'>

/** More links than this are not mailed to one address within an hour, whoever asks for them. */
const LINKS_PER_HOUR_MAX = 5
const HOUR_MS = 3_600_000

interface Dependencies {
  postgres: Postgres
  mailTokens: MailTokens
  publicUrl: string
  /** What people call a provider that signs them in. */
  providerNameOf: (providerId: string) => string
}

/** Writes the mails that facts ask for. Whether an address has an account is looked up here, where its owner alone sees the answer. */
export function createMailsService({ postgres, mailTokens, publicUrl, providerNameOf }: Dependencies) {
  // Behind the #, which browsers send to no server, so that a token is in no log and in no referrer.
  const linkTo = (page: string, proof?: Pick<ProofRow, 'id' | 'tokenHash'>) =>
    new URL(`/account/${page}${proof ? `#token=${mailTokens.tokenOfProof(proof)}` : ''}`, publicUrl).href

  /**
   * The proof of a fact, unless it was used or its address has had enough mail. One that is not mailed is deleted and does not count, so
   * that a flood of requests never keeps the next hour's links from the owner.
   */
  async function proofOf(tx: SystemTx, { payload }: MailFact) {
    const proof = await findProof(tx, String(payload.proofId))
    if (!proof) return undefined
    const before = await countProofsBefore(tx, proof, new Date(Date.now() - HOUR_MS))
    if (before < LINKS_PER_HOUR_MAX) return proof
    await deleteProof(tx, proof.id)
    return undefined
  }

  async function registration(tx: SystemTx, fact: MailFact): Promise<Mail | undefined> {
    const proof = await proofOf(tx, fact)
    if (!proof) return undefined
    const user = await findUserByEmail(tx, proof.email)
    if (user) return render(user.email, addressTakenMail(user.name, linkTo('forgot-password')))
    return render(proof.email, verificationMail(proof.name ?? proof.email, linkTo('verify-email', proof)))
  }

  async function passwordReset(tx: SystemTx, fact: MailFact): Promise<Mail | undefined> {
    const proof = await proofOf(tx, fact)
    const user = proof && (await findUserByEmail(tx, proof.email))
    if (user) return render(user.email, passwordResetMail(user.name, linkTo('reset-password', proof)))
    if (proof) await deleteProof(tx, proof.id)
    return undefined
  }

  async function reuseAlarm(tx: SystemTx, { payload }: MailFact): Promise<Mail | undefined> {
    const user = await findUser(tx, String(payload.userId))
    if (!user) return undefined
    const session = await findSession(tx, String(payload.sessionId))
    const device = deviceName(session?.userAgent ?? null) ?? 'an unknown one'
    return render(user.email, reuseAlarmMail(user.name, device, linkTo('forgot-password')))
  }

  async function emailChange(tx: SystemTx, fact: MailFact): Promise<Mail | undefined> {
    const proof = await proofOf(tx, fact)
    const asking = proof?.userId && (await findUser(tx, proof.userId))
    if (!proof || !asking) return undefined
    const owner = await findUserByEmail(tx, proof.email)
    const isFree = !owner || owner.id === asking.id
    if (isFree) return render(proof.email, notices.emailChangeMail(asking.name, linkTo('confirm-email-change', proof)))
    await deleteProof(tx, proof.id)
    return render(owner.email, notices.addressWantedMail(owner.name))
  }

  /** Goes to the address that the account had, whose owner may not know of it. */
  async function emailChanged(tx: SystemTx, { payload }: MailFact): Promise<Mail | undefined> {
    const user = await findUser(tx, String(payload.userId))
    return user && render(String(payload.email), notices.emailChangedMail(user.name))
  }

  /** What a person is told of their own account, with the way to a new password in case that it was somebody else. */
  const told =
    (content: (name: string, url: string) => Content) =>
    async (tx: SystemTx, { payload }: MailFact): Promise<Mail | undefined> => {
      const user = await findUser(tx, String(payload.userId))
      return user && render(user.email, content(user.name, linkTo('forgot-password')))
    }

  const toldOfProvider =
    (content: (name: string, provider: string, url: string) => Content) => (tx: SystemTx, fact: MailFact) =>
      told((name, url) => content(name, providerNameOf(String(fact.payload.providerId)), url))(tx, fact)

  async function welcome(tx: SystemTx, { payload }: MailFact): Promise<Mail | undefined> {
    const user = await findUser(tx, String(payload.userId))
    return user && render(user.email, notices.welcomeMail(user.name, new URL('/', publicUrl).href))
  }

  async function newDevice(tx: SystemTx, { payload }: MailFact): Promise<Mail | undefined> {
    const user = await findUser(tx, String(payload.userId))
    const session = await findSession(tx, String(payload.sessionId))
    if (!user || !session) return undefined
    const device = deviceName(session.userAgent) ?? 'an unknown device'
    const seen = { device, ip: session.ip ?? 'unknown', at: session.createdAt }
    return render(user.email, notices.newDeviceMail(user.name, seen, linkTo('forgot-password')))
  }

  async function invitation(tx: SystemTx, { payload }: MailFact): Promise<Mail | undefined> {
    const found = await invitationToMail(tx, String(payload.invitationId))
    if (!found) return undefined
    const { invitation } = found
    return render(invitation.email, invitationMail(found, linkTo('accept-invitation', invitation)))
  }

  /** What another domain has to tell a person. */
  async function notice(tx: SystemTx, { payload }: MailFact): Promise<Mail | undefined> {
    const user = await findUser(tx, String(payload.userId))
    const { subject, paragraphs } = payload as { subject: string; paragraphs: string[] }
    return user && render(user.email, { subject, before: [GREETING(user.name), ...paragraphs], after: [] })
  }

  const writers: Record<string, (tx: SystemTx, fact: MailFact) => Promise<Mail | undefined>> = {
    [REGISTRATION_REQUESTED]: registration,
    [PASSWORD_RESET_REQUESTED]: passwordReset,
    [REFRESH_TOKEN_REUSED]: reuseAlarm,
    [EMAIL_CHANGE_REQUESTED]: emailChange,
    [EMAIL_CHANGED]: emailChanged,
    [PASSWORD_CHANGED]: told(notices.passwordChangedMail),
    [SECOND_FACTOR_ENROLLED]: told(notices.secondFactorEnrolledMail),
    [SECOND_FACTOR_REMOVED]: told(notices.secondFactorRemovedMail),
    [RECOVERY_CODE_USED]: told(notices.recoveryCodeUsedMail),
    [RECOVERY_CODES_RENEWED]: told(notices.recoveryCodesRenewedMail),
    [IDENTITY_LINKED]: toldOfProvider(notices.identityLinkedMail),
    [IDENTITY_UNLINKED]: toldOfProvider(notices.identityUnlinkedMail),
    [ACCOUNT_MADE]: welcome,
    [NEW_DEVICE]: newDevice,
    [INVITED]: invitation,
    [NOTICE]: notice,
  }

  return {
    kinds: Object.keys(writers),

    /** The mail of a fact, or nothing where there is nobody to tell. Asked again, it writes the same. */
    compose: (fact: MailFact): Promise<Mail | undefined> =>
      postgres.withSystem(async (tx) => writers[fact.kind]?.(tx, fact)),
  }
}
