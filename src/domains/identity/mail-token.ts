import { createHmac, hkdfSync } from 'node:crypto'
import { hashToken } from './refresh-token.ts'

export type MailTokens = ReturnType<typeof createMailTokens>

/**
 * The token of a mailed link is made of the id of its proof and of a key that only this server has. A job carries the id, so that neither
 * the queue nor a log ever holds a token, and a mail that is tried again holds the same link as the try before. The database
 * keeps the hash.
 */
export function createMailTokens(secrets: readonly [string, ...string[]]) {
  const tokenBy = (secret: string, proofId: string) =>
    createHmac('sha256', Buffer.from(hkdfSync('sha256', secret, '', 'meterhouse mail tokens', 32)))
      .update(proofId)
      .digest('base64url')
  return {
    /** The token of a new proof. */
    tokenOf: (proofId: string): string => tokenBy(secrets[0], proofId),

    /** The token of a proof that is there, which a secret of before may have made. */
    tokenOfProof({ id, tokenHash }: { id: string; tokenHash: string }): string {
      const tokens = secrets.map((secret) => tokenBy(secret, id))
      return tokens.find((token) => hashToken(token) === tokenHash) ?? this.tokenOf(id)
    },
  }
}
