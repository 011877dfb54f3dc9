import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import { networkOf } from '../../http/failed-authentications.ts'
import { tooManyAttempts } from './errors.ts'

const FREE_ATTEMPTS = 5
const FIRST_PAUSE_MS = 60_000
const LAST_PAUSE_MS = 15 * 60_000
/** After so long without an attempt the count begins anew. */
const MEMORY_MS = 3_600_000

/** Counts the attempt before it is made, so that a thousand at once are a thousand. Gives the rest of a pause, or 0: go on. */
const BEGIN = `
local pause = redis.call('PTTL', KEYS[2])
if pause > 0 then return pause end
local attempts = redis.call('INCR', KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
local over = attempts - tonumber(ARGV[1])
if over >= 0 then
  redis.call('SET', KEYS[2], '1', 'PX', math.min(tonumber(ARGV[2]) * 2 ^ math.min(over, 10), tonumber(ARGV[3])))
end
return 0`

/** So many failures of one account are written down within an hour, from however many networks they come. */
const TOLD_MAX = 20

/** Whether a failure is the first of its network for a while, and of its account not one too many. */
const FAILED = `
if redis.call('SET', KEYS[1], '1', 'PX', ARGV[1], 'NX') == false then return 0 end
local told = redis.call('INCR', KEYS[2])
if told == 1 then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
return told <= tonumber(ARGV[3]) and 1 or 0`

export type Attempts = ReturnType<typeof createAttempts>

/**
 * Slows down guessing the password of one account from one address: five attempts, then a pause that doubles from one minute to
 * fifteen. The pause is that address's alone, so nobody can lock a person out of their account, and never final. It falls on addresses that
 * have no account too, or it would tell which have. Without Redis nobody guesses: the commands fail and the answer is 503.
 */
export function createAttempts(redis: Redis) {
  const accountKey = (email: string) =>
    `login:{${createHash('sha256').update(email.toLowerCase()).digest('base64url')}}`
  const keysOf = (email: string, ip: string): [string, string] => {
    const name = `${accountKey(email)}:${networkOf(ip)}`
    return [`${name}:attempts`, `${name}:pause`]
  }
  return {
    /** Throws 429 while a pause lasts. */
    async begin(email: string, ip: string): Promise<void> {
      const limits = [FREE_ATTEMPTS, FIRST_PAUSE_MS, LAST_PAUSE_MS, MEMORY_MS]
      const pauseMs = Number(await redis.eval(BEGIN, 2, ...keysOf(email, ip), ...limits))
      if (pauseMs === 0) return
      const seconds = Math.ceil(pauseMs / 1000)
      const detail = `There were too many failed attempts. Try again in ${seconds} s.`
      throw tooManyAttempts(detail, { headers: { 'retry-after': String(seconds) } })
    },

    /** A wrong password. Says whether it is worth writing down: one for a network and pause, and not many for an account. */
    async failed(email: string, ip: string): Promise<boolean> {
      const account = accountKey(email)
      const keys = [`${account}:${networkOf(ip)}:told`, `${account}:told`]
      return (await redis.eval(FAILED, 2, ...keys, LAST_PAUSE_MS, MEMORY_MS, TOLD_MAX)) === 1
    },

    /** A right password: the address may go on. */
    async succeeded(email: string, ip: string): Promise<void> {
      await redis.del(...keysOf(email, ip))
    },
  }
}
