import { createHash, createHmac, randomBytes } from 'node:crypto'

/**
 * A refresh token is 256 random bits, and only its hash is stored. Its successor is made of it and of a salt that is stored when it
 * is spent, so that everybody who spends it within the grace gets the same one, although nobody keeps it: whoever has the token
 * lacks the salt, and whoever reads the database lacks the token.
 */
export const newRefreshToken = (): string => randomBytes(32).toString('base64url')

export const newSuccessorSalt = (): string => randomBytes(32).toString('base64url')

export const successorOf = (token: string, salt: string): string =>
  createHmac('sha256', token).update(salt).digest('base64url')

/** A fast hash is enough: what it hides cannot be guessed. */
export const hashToken = (token: string): string => createHash('sha256').update(token).digest('base64url')

/** Whether the text can be a token at all, before a database is asked. */
export const isWellFormedToken = (text: string): boolean => /^[\w-]{43}$/.test(text)
