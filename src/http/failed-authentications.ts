import { isIPv6 } from 'node:net'
import { LRUCache } from 'lru-cache'
import { Problem } from '../errors.ts'

export type FailureLimit = ReturnType<typeof createFailureLimit>

const WINDOW_MS = 60_000
const ADDRESSES_MAX = 10_000

/**
 * Turns an address away that has sent `max` credentials within a minute and not one of them was good, before its next request costs
 * a body to decode or a key to look up. One good credential clears the address: many people may share it, or all of them when a
 * proxy is not trusted, and none may be shut out for another's mistake. Whoever has a good key can make us read bodies anyway.
 *
 * The count is the process's own. What it protects is the process's own too, and so it needs no Redis and costs a request nothing
 * while nobody fails.
 */
export function createFailureLimit(max: number, windowMs: number = WINDOW_MS) {
  const failures = new LRUCache<string, number>({ max: ADDRESSES_MAX, ttl: windowMs, noUpdateTTL: true })

  return {
    /** Throws 429 for an address that is over the limit. */
    check(ip: string): void {
      if (failures.size === 0) return
      const network = networkOf(ip)
      if ((failures.get(network) ?? 0) < max) return
      const seconds = Math.max(1, Math.ceil(failures.getRemainingTTL(network) / 1000))
      const detail = `No credential from this address was valid for a while. Try again in ${seconds} s.`
      throw new Problem('auth.too_many_failures', 429, 'Too many failed authentications', detail, {
        headers: { 'retry-after': String(seconds) },
      })
    },

    failed(ip: string): void {
      const network = networkOf(ip)
      failures.set(network, (failures.get(network) ?? 0) + 1)
    },

    succeeded(ip: string): void {
      if (failures.size > 0) failures.delete(networkOf(ip))
    },
  }
}

const IPV4_IN_IPV6 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i

/** The address, or of IPv6 the /64, which is what one customer gets. */
export function networkOf(ip: string): string {
  const mapped = IPV4_IN_IPV6.exec(ip)?.[1]
  if (mapped || !isIPv6(ip)) return mapped ?? ip
  const [left = [], right] = ip.split('::').map((half) => (half === '' ? [] : half.split(':')))
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - (right?.length ?? 0)) }, () => '0')
  const groups = right ? [...left, ...zeros, ...right] : left
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}
