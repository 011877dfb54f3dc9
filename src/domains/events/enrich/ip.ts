import { BlockList, isIPv4, isIPv6 } from 'node:net'
import type { IP_POLICIES } from '../../../http/access.ts'
import { isObject } from './said.ts'

/** What a project stores of addresses. Whatever it is, the place is looked up with the whole address. */
export type IpPolicy = (typeof IP_POLICIES)[number]

export interface Address {
  version: 4 | 6
  /** The one way to write it: RFC 5952, without a zone; an IPv4 address inside of IPv6 is an IPv4 address. */
  text: string
}

const TEXT_LENGTH_MAX = 100

/** undefined for what is not an address. */
export function parseAddress(given: string): Address | undefined {
  if (given.length > TEXT_LENGTH_MAX) return undefined
  if (isIPv4(given)) return { version: 4, text: given }
  if (!isIPv6(given)) return undefined
  const [unzoned] = given.split('%', 1)
  const text = canonical(unzoned ?? '')
  const groups = groupsOf(text)
  if (!text.startsWith('::ffff:') || groups.indexOf('ffff') !== 5) return { version: 6, text }
  const bytes = groups.slice(6).flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255])
  return { version: 4, text: bytes.join('.') }
}

/** The text to store. Truncated is to the network that a household or office shares: IPv4 /24, IPv6 /48. */
export function storedAddress({ version, text }: Address, policy: IpPolicy): string {
  if (policy === 'drop') return ''
  if (policy === 'keep') return text
  if (version === 4) return `${text.slice(0, text.lastIndexOf('.'))}.0`
  return canonical(`${groupsOf(text).slice(0, 3).join(':')}::`)
}

/** Whether the address belongs to one machine or one network, so that it has no place in the world. */
export function isLocal({ version, text }: Address): boolean {
  return LOCAL.check(text, version === 4 ? 'ipv4' : 'ipv6')
}

const LOCAL = new BlockList()
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['224.0.0.0', 3],
] as const)
  LOCAL.addSubnet(network, bits, 'ipv4')
for (const [network, bits] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const)
  LOCAL.addSubnet(network, bits, 'ipv6')

/** Names under which clients put an address into the context. */
const CONTEXT_NAMES = ['ip', '$ip'] as const

/**
 * The context with its addresses as the policy lets them be stored, so that they do not stay in the event's own text. The very same
 * object where there is nothing to change. What is not an address is removed, because it may be one in a form that we do not read.
 */
export function applyIpPolicy<T>(context: T, policy: IpPolicy): T {
  if (policy === 'keep' || !isObject(context)) return context
  if (!CONTEXT_NAMES.some((name) => Object.hasOwn(context, name))) return context
  const copy: Record<string, unknown> = { ...context }
  for (const name of CONTEXT_NAMES) {
    if (!Object.hasOwn(copy, name)) continue
    const address = typeof copy[name] === 'string' ? parseAddress(copy[name]) : undefined
    if (address && policy === 'truncate') copy[name] = storedAddress(address, policy)
    else delete copy[name]
  }
  return copy as T
}

/** The URL standard writes addresses in the canonical form. The text has been found to be an address. */
const canonical = (text: string) => new URL(`http://[${text}]/`).hostname.slice(1, -1)

function groupsOf(text: string): string[] {
  const [head = [], tail = []] = text.split('::').map((side) => (side === '' ? [] : side.split(':')))
  return [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail]
}
