import { createHash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** `write` keys may only send events and may be public; `api` keys act by their scopes. */
export type KeyKind = 'write' | 'api'

const PREFIXES: Record<KeyKind, string> = { write: 'mh_write_', api: 'mh_live_' }
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const SECRET_LENGTH = 43
const CHECKSUM_LENGTH = 6
const KEY_PATTERN = new RegExp(`^mh_(write|live)_[0-9A-Za-z]{${SECRET_LENGTH + CHECKSUM_LENGTH}}$`)

/**
 * A new key: prefix, 256 random bits and a CRC-32 of both, in base 62. The checksum lets a mistyped key be told from an unknown
 * one without a look-up, and lets secret scanners be certain. Returned once; only `hashKey` of it is stored.
 */
export function generateKey(kind: KeyKind): string {
  const body = PREFIXES[kind] + toBase62(BigInt(`0x${randomBytes(32).toString('hex')}`), SECRET_LENGTH)
  return body + toBase62(BigInt(crc32(body)), CHECKSUM_LENGTH)
}

/** Whether the text has the form of a key and its checksum is right. */
export function isWellFormedKey(text: string): boolean {
  if (!KEY_PATTERN.test(text)) return false
  const body = text.slice(0, -CHECKSUM_LENGTH)
  return text.endsWith(toBase62(BigInt(crc32(body)), CHECKSUM_LENGTH))
}

/** SHA-256, hex: what the database knows of a key. Looking a hash up leaks nothing about the key through timing. */
export function hashKey(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}

/** What a list may show of a key. */
export function keyHint(key: string): string {
  return key.slice(0, key.lastIndexOf('_') + 5)
}

function toBase62(value: bigint, length: number): string {
  let rest = value
  let text = ''
  for (let i = 0; i < length; i++) {
    text = BASE62.charAt(Number(rest % 62n)) + text
    rest /= 62n
  }
  return text
}
