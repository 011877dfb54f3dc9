import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import { tooManyMails } from './errors.ts'

/** Mails to one address, of one purpose. Less time than each of their links is good for, so that whoever is refused has one. */
const MAILS_MAX = 5
const WINDOW_MS = 15 * 60_000

/** Counts, and gives the rest of the window in milliseconds for one too many, else 0. */
const COUNT = `
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return count > tonumber(ARGV[1]) and redis.call('PTTL', KEYS[1]) or 0`

export type MailLimit = (purpose: string, email: string) => Promise<void>

/**
 * Keeps strangers from filling a mailbox, from however many networks they ask. It holds for every address, with an account or without, or
 * it would tell which have one. Throws 429; without Redis nothing is mailed: the command fails and the answer is 503.
 */
export function createMailLimit(redis: Redis): MailLimit {
  return async (purpose, email) => {
    const address = createHash('sha256').update(email.toLowerCase()).digest('base64url')
    const restMs = Number(await redis.eval(COUNT, 1, `mails:${purpose}:${address}`, MAILS_MAX, WINDOW_MS))
    if (restMs === 0) return
    const seconds = Math.ceil(restMs / 1000)
    const detail = `The links that were mailed to this address can still be used. Ask for another in ${seconds} s.`
    throw tooManyMails(detail, { headers: { 'retry-after': String(seconds) } })
  }
}
