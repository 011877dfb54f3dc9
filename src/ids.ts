import { randomBytes } from 'node:crypto'

/** Every kind of id that Meterhouse mints, by its prefix. */
export type IdPrefix =
  | 'org'
  | 'prj'
  | 'key'
  | 'usr'
  | 'mem'
  | 'fct'
  | 'evt'
  | 'ses'
  | 'prf'
  | 'aud'
  | 'ivt'
  | 'idn'
  | 'rol'

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

/**
 * A prefixed id that sorts by creation time: 48 bits of epoch milliseconds and 80 random bits in lower-case Crockford base 32,
 * the layout of a ULID. Example: `org_01jd7z3k9qf8v0m4c2t6n5w1xy`.
 */
export function newId(prefix: IdPrefix, timeMs: number = Date.now()): string {
  let time = timeMs
  let head = ''
  for (let i = 0; i < 10; i++) {
    head = ALPHABET.charAt(time % 32) + head
    time = Math.floor(time / 32)
  }
  let tail = ''
  for (const byte of randomBytes(16)) tail += ALPHABET.charAt(byte % 32)
  return `${prefix}_${head}${tail}`
}
