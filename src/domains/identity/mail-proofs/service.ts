import { newId } from '../../../ids.ts'
import { append, NO_ORGANIZATION } from '../../../infra/outbox.ts'
import type { Postgres } from '../../../infra/postgres.ts'
import * as store from '../accounts/store.ts'
import type { Ask } from '../ask.ts'
import type { MailLimit } from '../mail-limit.ts'
import type { MailTokens } from '../mail-token.ts'
import { hashToken } from '../refresh-token.ts'

interface Dependencies {
  postgres: Postgres
  mailTokens: MailTokens
  assertMayMail: MailLimit
}

/** See Ask. */
export function createAsk({ postgres, mailTokens, assertMayMail }: Dependencies): Ask {
  return async (proof, kind, ttlMs) => {
    await assertMayMail(proof.purpose, proof.email)
    const id = newId('prf')
    const tokenHash = hashToken(mailTokens.tokenOf(id))
    await postgres.withSystem(async (tx) => {
      await store.insertProof(tx, { ...proof, id, tokenHash, expiresAt: new Date(Date.now() + ttlMs) })
      await append(tx, { organizationId: NO_ORGANIZATION, kind, payload: { proofId: id } })
    })
  }
}
