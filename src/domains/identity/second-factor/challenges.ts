import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import { networkOf } from '../../../http/failed-authentications.ts'
import type { Device } from '../device.ts'
import { hashToken, newRefreshToken } from '../refresh-token.ts'

const CHALLENGE_TTL_MS = 5 * 60_000
const TRIES_MAX = 5

interface Asked {
  userId: string
  /** Of the ways into the account: a change of them spoils the challenges of before. */
  stamp: string
}

/** What a device gets that has shown a password, or has come from a provider, and still owes the second factor. */
export interface Challenge {
  secondFactor: 'required'
  challenge: string
  expiresAt: string
}

export const stampOf = (ways: string[]) => createHash('sha256').update(JSON.stringify(ways)).digest('base64url')

/** Counts the try before it is made, so that a thousand at once are a thousand; the last one that is given ends the challenge. */
const TRY = `
local asked = redis.call('HMGET', KEYS[1], 'userId', 'stamp', 'device')
if not asked[1] or asked[3] ~= ARGV[1] then return nil end
if redis.call('HINCRBY', KEYS[1], 'tries', 1) >= tonumber(ARGV[2]) then redis.call('DEL', KEYS[1]) end
return {asked[1], asked[2]}`

/** Sign-ins that wait for a code, in Redis under the hash of their token, each for one account on one device. */
export function createChallenges(redis: Redis) {
  const keyOf = (token: string) => `second-factor:${hashToken(token)}`
  const markOf = ({ ip, userAgent = '' }: Device) => hashToken(`${networkOf(ip)} ${userAgent}`)
  return {
    async issue({ userId, stamp }: Asked, device: Device): Promise<Challenge> {
      const challenge = newRefreshToken()
      const fields = { userId, stamp, device: markOf(device), tries: 0 }
      const key = keyOf(challenge)
      const results = await redis.multi().hset(key, fields).pexpire(key, CHALLENGE_TTL_MS).exec()
      for (const [error] of results ?? []) if (error) throw error
      const expiresAt = new Date(Date.now() + CHALLENGE_TTL_MS).toISOString()
      return { secondFactor: 'required', challenge, expiresAt }
    },

    /** Uses one try of a challenge; undefined when it is over or belongs to another device. */
    async try(challenge: string, device: Device): Promise<Asked | undefined> {
      const asked = await redis.eval(TRY, 1, keyOf(challenge), markOf(device), TRIES_MAX)
      if (!Array.isArray(asked)) return undefined
      return { userId: String(asked[0]), stamp: String(asked[1]) }
    },

    end: (challenge: string) => redis.del(keyOf(challenge)),
  }
}
export type Challenges = ReturnType<typeof createChallenges>
