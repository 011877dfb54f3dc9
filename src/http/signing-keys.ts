import { createHash } from 'node:crypto'

/** What a token calls the secret that signed it: enough to find it again, and nothing to guess it by. */
export const keyIdOf = (secret: string): string =>
  createHash('sha256').update(`meterhouse signing key ${secret}`).digest('hex').slice(0, 8)
