import { BlockList, isIP, isIPv4 } from 'node:net'
import { invalidRequest } from '../../errors.ts'

const PREFIX = /^(?:0|[1-9]\d{0,2})$/

/**
 * The one form of an address (`203.0.113.7`) or a network (`2001:db8::/48`) that a person wrote. An IPv4 address in the form of IPv6 is
 * refused, as it would look like one that nobody comes from.
 */
export function normalizeIp(text: string): { ip: string } | { fault: string } {
  const [address = '', prefix, ...rest] = text.split('/')
  const family = address.includes('%') ? 0 : isIP(address)
  if (family === 0 || rest.length > 0)
    return { fault: 'must be an IPv4 or IPv6 address, or a network such as 10.0.0.0/8' }
  if (prefix !== undefined && (!PREFIX.test(prefix) || Number(prefix) > (family === 4 ? 32 : 128))) {
    return { fault: `must have a prefix between 0 and ${family === 4 ? 32 : 128}` }
  }
  const canonical = family === 4 ? address : new URL(`http://[${address}]`).hostname.slice(1, -1)
  if (canonical.startsWith('::ffff:')) return { fault: 'must be written as an IPv4 address' }
  return { ip: prefix === undefined ? canonical : `${canonical}/${prefix}` }
}

/** What a person wrote as a list of addresses and networks, each once. Throws 400, which names each that is none. */
export function readAllowedIps(texts: readonly string[]): string[] {
  const read = texts.map(normalizeIp)
  const errors = read.flatMap((ip, index) =>
    'fault' in ip ? [{ path: `/allowedIps/${index}`, message: ip.fault }] : [],
  )
  if (errors.length > 0) throw invalidRequest('The key cannot act from there.', { errors })
  return [...new Set(read.flatMap((ip) => ('ip' in ip ? [ip.ip] : [])))]
}

/** A check of addresses against a list in the one form, which is read once; an empty list allows all. */
export function compileAllowedIps(allowed: readonly string[]): (ip: string) => boolean {
  if (allowed.length === 0) return () => true
  const list = new BlockList()
  for (const entry of allowed) {
    const [address = '', prefix] = entry.split('/')
    const family = isIPv4(address) ? 'ipv4' : 'ipv6'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  return (ip) => isIP(ip) !== 0 && list.check(ip, isIPv4(ip) ? 'ipv4' : 'ipv6')
}
