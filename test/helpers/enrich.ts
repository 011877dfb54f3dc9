import type { IncomingHttpHeaders } from 'node:http'
import { ENRICHMENT_COLUMNS } from '../../src/domains/events/enrich/columns.ts'
import { createEnricher, type RequestFacts } from '../../src/domains/events/enrich/enrich.ts'
import { describeSender } from '../../src/domains/events/enrich/sender.ts'

export const CHROME =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36'
export const GERMAN = '91.12.34.56'
export const AMERICAN = '8.8.8.8'

export const BROWSER_HEADERS: IncomingHttpHeaders = {
  'user-agent': CHROME,
  origin: 'https://shop.example',
  'accept-language': 'de-DE,de;q=0.9',
}

export const browser = (headers: IncomingHttpHeaders = {}, ip = GERMAN) =>
  describeSender(ip, { ...BROWSER_HEADERS, ...headers })

export const server = (ip = AMERICAN) =>
  describeSender(ip, { 'user-agent': 'node', 'sec-fetch-mode': 'cors', 'accept-language': '*' })

const enricher = createEnricher({
  onFault: (error) => {
    throw error
  },
})

/** One event of a German's browser, unless the test says otherwise. */
export function enrich(context: unknown, given: Partial<RequestFacts> = {}) {
  return enricher.enrich(requestOf(given), context)
}

/** The same by way of the bytes: the columns of the row, read again, and the context that is stored. */
export function enrichBytes(context: unknown, given: Partial<RequestFacts> = {}, hasOwnTime = true) {
  const text = context === undefined ? '' : Buffer.from(JSON.stringify(context)).toString('latin1')
  const { columns, context: stored } = enricher.forRequest(requestOf(given))(text, hasOwnTime)
  const bytes = Buffer.from(columns, 'latin1')
  return { bytes, enrichment: decodeColumns(bytes), context: Buffer.from(stored, 'latin1').toString() }
}

/** CPU time of the calling thread, which does not grow when the machine is busy with something else. */
export function cpuMsOf(work: () => void): number {
  const before = process.threadCpuUsage()
  work()
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}

const requestOf = (given: Partial<RequestFacts>): RequestFacts => ({
  sender: browser(),
  ipPolicy: 'keep',
  clockSkewMs: 0,
  ...given,
})

function decodeColumns(bytes: Buffer): Record<string, unknown> {
  let at = 0
  const readSize = () => {
    let size = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes.readUInt8(at++)
      size += (byte & 127) << shift
      if (byte < 128) return size
    }
  }
  const readers = {
    String: () => {
      const size = readSize()
      at += size
      return bytes.toString('utf8', at - size, at)
    },
    UInt8: () => bytes.readUInt8(at++) === 1,
    Int64: () => {
      at += 8
      return Number(bytes.readBigInt64LE(at - 8))
    },
  }
  const decoded = Object.fromEntries(ENRICHMENT_COLUMNS.map(([, key, type]) => [key, readers[type]()]))
  if (at !== bytes.length) throw new Error(`${bytes.length - at} bytes are left`)
  return decoded
}
