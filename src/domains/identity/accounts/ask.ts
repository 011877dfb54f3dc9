import { newId } from '../../../ids.ts'
import { append, NO_ORGANIZATION } from '../../../infra/outbox.ts'
import type { Postgres } from '../../../infra/postgres.ts'
import type { MailTokens } from '../mail-token.ts'
import { hashToken } from '../refresh-token.ts'
import * as store from './store.ts'

type Asked = Omit<Parameters<typeof store.insertProof>[1], 'id' | 'tokenHash' | 'expiresAt'>

export type Ask = ReturnType<typeof createAsk>

/** Writes down what was asked for and has its link mailed, in one step. */
export function createAsk({ postgres, mailTokens }: { postgres: Postgres; mailTokens: MailTokens }) {
  return async (proof: Asked, kind: string, ttlMs: number): Promise<void> => {
    const id = newId('prf')
    const tokenHash = hashToken(mailTokens.tokenOf(id))
    await postgres.withSystem(async (tx) => {
      await store.insertProof(tx, { ...proof, id, tokenHash, expiresAt: new Date(Date.now() + ttlMs) })
      await append(tx, { organizationId: NO_ORGANIZATION, kind, payload: { proofId: id } })
    })
  }
}
