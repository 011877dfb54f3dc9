import { createHmac, hkdfSync } from 'node:crypto'

export type MailTokens = ReturnType<typeof createMailTokens>

/**
 * The token of a mailed link is made of the id of its proof and of a key that only this server has. A job carries the id, so that neither
 * the queue nor a log ever holds a token, and a mail that is tried again holds the same link as the try before. The database
 * keeps the hash.
 */
export function createMailTokens(secret: string) {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'meterhouse mail tokens', 32))
  return { tokenOf: (proofId: string): string => createHmac('sha256', key).update(proofId).digest('base64url') }
}
