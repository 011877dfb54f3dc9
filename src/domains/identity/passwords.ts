import { argon2id, hash, needsRehash, verify } from 'argon2'
import { unavailable } from '../../errors.ts'

/** OWASP's floor for argon2id: 19 MiB, two passes, one lane. */
const HASH_OPTIONS = { type: argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

export const hashPassword = (password: string): Promise<string> => hash(password.normalize('NFC'), HASH_OPTIONS)

/**
 * What an account has for a hash that another service signs in. No password matches it, and finding that out takes as long as with any
 * other, so that signing in and changing the password answer as for a wrong one. A mailed link sets the first.
 */
export const NO_PASSWORD = 'none'

/** Of the four threads that also serve files and names; more would not be faster on fewer cores and would take more memory. */
const CONCURRENCY_MAX = 2
const WAITING_MAX = 64

export type Passwords = ReturnType<typeof createPasswords>

/**
 * Hashing beside the event loop, a few at a time and a bounded number waiting: a flood of sign-ins can take neither all memory nor
 * all threads, and whoever comes when the line is full is told so.
 */
export function createPasswords(concurrencyMax = CONCURRENCY_MAX, waitingMax = WAITING_MAX) {
  const inTurn = createTurns(concurrencyMax, waitingMax)
  // What unknown addresses are checked against, so that both answers take the same time.
  const decoy = hashPassword('no user has this password')

  return {
    hash: (password: string) => inTurn(() => hashPassword(password)),

    /** Whether the hash is of this password. Takes the same time when there is no hash, and is false then. */
    async matches(password: string, passwordHash: string | undefined): Promise<boolean> {
      const known = passwordHash?.startsWith('$argon2') ? passwordHash : undefined
      const against = known ?? (await decoy)
      return (await inTurn(() => verify(against, password.normalize('NFC')))) && known !== undefined
    },

    /** Whether a hash was made with other settings than today's. */
    isOutdated: (passwordHash: string) => needsRehash(passwordHash, HASH_OPTIONS),
  }
}

/** Lets a number of works run at once and others wait; 503 for those that find the line full. */
export function createTurns(concurrencyMax: number, waitingMax: number) {
  let running = 0
  const waiting: (() => void)[] = []
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running < concurrencyMax) running++
    else if (waiting.length < waitingMax) await new Promise<void>((resolve) => waiting.push(resolve))
    else throw unavailable('Too many people are signing in just now. Try again in a moment.')
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      // The turn is handed over, so that nobody can slip in between.
      if (next) next()
      else running--
    }
  }
}
