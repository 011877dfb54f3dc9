import type { IncomingHttpHeaders } from 'node:http'
import { createEnricher, type EnrichFacts } from '../../src/domains/events/enrich/enrich.ts'
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
export function enrich(context: unknown, given: Partial<EnrichFacts> = {}) {
  return enricher.enrich({ sender: browser(), context, ipPolicy: 'keep', clockSkewMs: 0, ...given })
}
