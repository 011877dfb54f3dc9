import { invalidRequest } from '../../errors.ts'
import { comparable, isKnownPassword } from './known-passwords.ts'

/** A pattern of up to so many characters that is only repeated is guessed like the pattern. */
const PATTERN_MAX = 6

/**
 * Refuses a password that somebody would guess early: one that leaks have made known, that is the person's own name or address, or that
 * repeats one short pattern. `path` names the field that it came in.
 */
export async function assertHardToGuess(
  password: string,
  path: '/password' | '/newPassword',
  person: { email: string; name: string | null },
): Promise<void> {
  const fault = faultOf(password, person) ?? ((await isKnownPassword(password)) ? KNOWN : undefined)
  if (fault) throw invalidRequest('Choose a password that is harder to guess.', { errors: [{ path, message: fault }] })
}

const KNOWN = 'is in lists of passwords that became known'

function faultOf(password: string, { email, name }: { email: string; name: string | null }): string | undefined {
  const text = comparable(password)
  const own = [email, email.slice(0, email.lastIndexOf('@')), name ?? '']
  if (own.some((word) => comparable(word) === text)) return 'is your own name or address'
  return repeatsPattern([...text]) ? 'repeats a few characters' : undefined
}

function repeatsPattern(characters: string[]): boolean {
  for (let length = 1; length <= PATTERN_MAX; length++) {
    if (characters.every((character, index) => character === characters[index % length])) return true
  }
  return false
}
