import { newId } from '../../../ids.ts'
import { append, NO_ORGANIZATION } from '../../../infra/outbox.ts'
import type { Postgres } from '../../../infra/postgres.ts'
import * as store from '../accounts/store.ts'
import type { Ask } from '../ask.ts'
import type { MailTokens } from '../mail-token.ts'
import { hashToken } from '../refresh-token.ts'

/** See Ask. */
export function createAsk({ postgres, mailTokens }: { postgres: Postgres; mailTokens: MailTokens }): Ask {
  return async (proof, kind, ttlMs) => {
    const id = newId('prf')
    const tokenHash = hashToken(mailTokens.tokenOf(id))
    await postgres.withSystem(async (tx) => {
      await store.insertProof(tx, { ...proof, id, tokenHash, expiresAt: new Date(Date.now() + ttlMs) })
      await append(tx, { organizationId: NO_ORGANIZATION, kind, payload: { proofId: id } })
    })
  }
}
