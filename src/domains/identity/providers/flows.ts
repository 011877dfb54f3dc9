import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Redis } from 'ioredis'
import { flowNotValid } from '../errors.ts'
import { hashToken, isWellFormedToken } from '../refresh-token.ts'
import type { FlowSecrets } from './provided-person.ts'

export const FLOW_TTL_MS = 10 * 60_000

export type Flows = ReturnType<typeof createFlows>

/** Where a sign-in goes to and comes back to. */
interface Flow {
  providerId: string
  returnTo: string
}

/**
 * Sign-ins that are under way at a provider. The token is in the cookie of the browser that began, and state, nonce and verifier are made
 * of it, so that nothing is stored that would help to finish a flow elsewhere: Redis has the token's hash and where to go. Taking a flow
 * deletes it, so of many answers to one flow one is heard.
 */
export function createFlows(redis: Redis) {
  const keyOf = (token: string) => `sign-in-flow:${hashToken(token)}`
  return {
    async begin(flow: Flow): Promise<{ token: string; secrets: FlowSecrets }> {
      const token = randomBytes(32).toString('base64url')
      await redis.set(keyOf(token), JSON.stringify(flow), 'PX', FLOW_TTL_MS)
      return { token, secrets: secretsOf(token) }
    },

    /** The flow of a browser that comes back from a provider. A wrong state uses nothing up: it is not from who began. */
    async take(token: string | undefined, providerId: string, state: string): Promise<Flow & { secrets: FlowSecrets }> {
      if (token === undefined || !isWellFormedToken(token)) throw beginAgain()
      const secrets = secretsOf(token)
      if (!isSame(secrets.state, state)) throw beginAgain()
      const text = await redis.getdel(keyOf(token))
      const flow = text === null ? undefined : (JSON.parse(text) as Flow)
      if (flow?.providerId !== providerId) throw beginAgain()
      return { ...flow, secrets }
    },
  }
}

function secretsOf(token: string): FlowSecrets {
  const made = (purpose: string) => createHmac('sha256', token).update(purpose).digest('base64url')
  return { state: made('state'), nonce: made('nonce'), verifier: made('verifier') }
}

function isSame(expected: string, given: string): boolean {
  const [a, b] = [Buffer.from(expected), Buffer.from(given)]
  return a.length === b.length && timingSafeEqual(a, b)
}

const beginAgain = () =>
  flowNotValid('It was begun in another browser or more than ten minutes ago, or it is over. Sign in again.')
