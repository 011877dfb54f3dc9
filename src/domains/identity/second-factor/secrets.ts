import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'

const ALGORITHM = 'aes-256-gcm'
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const RECOVERY_CODES = 10
/** Five bits each: 80 random bits. */
const RECOVERY_CHARACTERS = 16

export type Secrets = ReturnType<typeof createSecrets>

/**
 * How second factors are kept. An authenticator's secret is needed again, so it is sealed, and to its person, so that a row moved to
 * another one opens nothing. A recovery code is hashed under a key of this server: 80 bits are out of reach for guessing, and the
 * key makes the table worthless alone, which is what a slow hash would be for. Of the secrets the first writes; all can read.
 */
export function createSecrets(jwtSecrets: readonly [string, ...string[]]) {
  const keyBy = (label: string) => (secret: string) =>
    Buffer.from(hkdfSync('sha256', secret, '', `meterhouse ${label}`, 32))
  const [sealingBy, hashingBy] = [keyBy('second factors'), keyBy('recovery codes')]
  const hashBy = (secret: string, userId: string, code: string): string =>
    createHmac('sha256', hashingBy(secret))
      .update(`${userId} ${bare(code)}`)
      .digest('base64url')

  return {
    seal(userId: string, secret: string): string {
      const nonce = randomBytes(12)
      const cipher = createCipheriv(ALGORITHM, sealingBy(jwtSecrets[0]), nonce).setAAD(Buffer.from(userId))
      const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
      return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')
    },

    /** Gives the secret, and says whether it should be sealed anew; throws when no key of this server has sealed it. */
    open(userId: string, sealed: string): { secret: string; isOutdated: boolean } {
      for (const [index, jwtSecret] of jwtSecrets.entries()) {
        const secret = unseal(sealingBy(jwtSecret), userId, sealed)
        if (secret !== undefined) return { secret, isOutdated: index > 0 }
      }
      throw new Error('a second factor was sealed under a secret that this server does not have')
    },

    newRecoveryCodes: (): string[] => Array.from({ length: RECOVERY_CODES }, newRecoveryCode),

    hashOf: (userId: string, code: string): string => hashBy(jwtSecrets[0], userId, code),

    /** Under every key that it may have been written with. */
    hashesOf: (userId: string, code: string): string[] => jwtSecrets.map((secret) => hashBy(secret, userId, code)),
  }
}

function unseal(key: Buffer, userId: string, sealed: string): string | undefined {
  const bytes = Buffer.from(sealed, 'base64url')
  const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, 12), { authTagLength: 16 })
  decipher.setAAD(Buffer.from(userId)).setAuthTag(bytes.subarray(12, 28))
  const text = decipher.update(bytes.subarray(28))
  try {
    return Buffer.concat([text, decipher.final()]).toString('utf8')
  } catch {
    // The tag is another key's.
    return undefined
  }
}

const bare = (code: string) => code.toLowerCase().replaceAll('-', '')

function newRecoveryCode(): string {
  const characters = [...randomBytes(RECOVERY_CHARACTERS)].map((byte) => ALPHABET.charAt(byte % 32)).join('')
  return characters.replace(/(.{4})(?=.)/g, '$1-')
}
