import { createHash, randomBytes } from 'node:crypto'

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
  | 'sub'
  | 'bpr'
  | 'chg'
  | 'inv'
  | 'crn'
  | 'pay'
  | 'cpn'
  | 'crd'
  | 'mtr'
  | 'alt'

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

/**
 * A prefixed id that sorts by creation time: 48 bits of epoch milliseconds and 80 random bits in lower-case Crockford base 32,
 * the layout of a ULID. Example: `org_01jd7z3k9qf8v0m4c2t6n5w1xy`.
 */
export function newId(prefix: IdPrefix, timeMs: number = Date.now()): string {
  return idOf(prefix, timeMs, randomBytes(16))
}

/** The same for something that is known before it exists: whoever makes it of the same text and time makes the same id. */
export function derivedId(prefix: IdPrefix, timeMs: number, of: string): string {
  return idOf(prefix, timeMs, createHash('sha256').update(`${prefix} ${of}`).digest().subarray(0, 16))
}

function idOf(prefix: IdPrefix, timeMs: number, bytes: Uint8Array): string {
  let time = timeMs
  let head = ''
  for (let i = 0; i < 10; i++) {
    head = ALPHABET.charAt(time % 32) + head
    time = Math.floor(time / 32)
  }
  let tail = ''
  for (const byte of bytes) tail += ALPHABET.charAt(byte % 32)
  return `${prefix}_${head}${tail}`
}
