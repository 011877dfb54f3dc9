import { LRUCache } from 'lru-cache'
import { IP_POLICIES } from '../../../http/access.ts'
import { PLACE_COLUMNS } from './columns.ts'
import { NOWHERE, type Place } from './geo.ts'
import { type Address, type IpPolicy, parseAddress, storedAddress } from './ip.ts'
import { encodePart, type Part } from './part.ts'

/** What is stored of an address and its place, under each policy. */
export type AddressReading = Record<IpPolicy, Part<Place & { ip: string }>>

const CACHED_ADDRESSES = 20_000
const TEXT_LENGTH_MAX = 100

const readingOf = (place: Place, stored: (policy: IpPolicy) => string): AddressReading => {
  const parts = IP_POLICIES.map((policy) => [policy, encodePart(PLACE_COLUMNS, { ip: stored(policy), ...place })])
  return Object.fromEntries(parts)
}

export const NO_ADDRESS = readingOf(NOWHERE, () => '')

/** Reads addresses. What is not an address is read as none. */
export function createAddressReader(locate: (address: Address) => Place) {
  const cache = new LRUCache<string, AddressReading>({ max: CACHED_ADDRESSES })

  return function readAddress(text: string): AddressReading {
    if (text === '' || text.length > TEXT_LENGTH_MAX) return NO_ADDRESS
    const known = cache.get(text)
    if (known) return known
    const address = parseAddress(text)
    const reading = address ? readingOf(locate(address), (policy) => storedAddress(address, policy)) : NO_ADDRESS
    cache.set(text, reading)
    return reading
  }
}

/** The same without the place. */
export function withoutPlace(reading: AddressReading): AddressReading {
  return readingOf(NOWHERE, (policy) => reading[policy].value.ip)
}
