import { LRUCache } from 'lru-cache'
import { botSignals, saysAutomation } from './bot.ts'
import type { Enrichment } from './columns.ts'
import { createAgentReader, readNativeDevice } from './device.ts'
import { createGeo, type GeoOptions, NOWHERE, type Place } from './geo.ts'
import { type IpPolicy, parseAddress, storedAddress } from './ip.ts'
import { type Context, isFromNativeApp, isObject, textOf } from './said.ts'
import type { Sender } from './sender.ts'
import { createSourceReader } from './source.ts'

/** What an enrichment is made of. */
export interface EnrichFacts {
  sender: Sender
  /** The event's context as it was parsed. */
  context: unknown
  ipPolicy: IpPolicy
  /** Of `clockSkewMs`, and 0 for an event that has its time from our clock. */
  clockSkewMs: number
}

export type Enricher = ReturnType<typeof createEnricher>

interface AddressReading {
  stored: Record<IpPolicy, string>
  place: Place
}

const NO_ADDRESS: AddressReading = { stored: { keep: '', truncate: '', drop: '' }, place: NOWHERE }
const CACHED_ADDRESSES = 20_000
const CACHED_LENGTH_MAX = 100
const NO_CONTEXT: Context = {}

/**
 * Adds to an event what its circumstances tell: place, device, robot or not, source. Never throws and never refuses: what cannot be read
 * is empty. Every part is cached by the text that it depends on, with bounded memory.
 *
 * The event's own context wins over the request, since a server sends for its users. The request's address and user agent count only
 * when it comes from the visitor's browser, and its address also when it comes from a native app.
 */
export function createEnricher(options: GeoOptions) {
  const geo = createGeo(options)
  const readAgent = createAgentReader()
  const readSource = createSourceReader()
  const addresses = new LRUCache<string, AddressReading>({ max: CACHED_ADDRESSES })

  function readAddress(text: string): AddressReading {
    if (text === '' || text.length > CACHED_LENGTH_MAX) return NO_ADDRESS
    const known = addresses.get(text)
    if (known) return known
    const reading = parseReading(text)
    addresses.set(text, reading)
    return reading
  }

  function parseReading(text: string): AddressReading {
    const address = parseAddress(text)
    if (!address) return NO_ADDRESS
    const stored = { keep: address.text, truncate: storedAddress(address, 'truncate'), drop: '' }
    return { stored, place: geo.locate(address) }
  }

  return {
    /** Reads the files of places ahead of their first need. */
    warm: geo.warm,

    enrich({ sender, context: given, ipPolicy, clockSkewMs }: EnrichFacts): Enrichment {
      const context = isObject(given) ? given : NO_CONTEXT
      const isNative = context !== NO_CONTEXT && !sender.isBrowser && isFromNativeApp(context)
      const ownAddress = textOf(context, 'ip') || textOf(context, '$ip')
      const address = readAddress(ownAddress || (sender.isBrowser || isNative ? sender.ip : ''))
      const ownAgent = textOf(context, 'userAgent') || textOf(context, '$raw_user_agent')
      const agentText = ownAgent || (sender.isBrowser ? sender.userAgent : '')
      const agent = isNative || agentText === '' ? readNativeDevice(context) : readAgent(agentText)
      const signals = botSignals({
        userAgent: agent.isBotName,
        automation: saysAutomation(context),
        headers: sender.contradicts && agentText === sender.userAgent,
      })
      const url = textOf(context.page, 'url') || textOf(context, '$current_url')
      const referrer = textOf(context.page, 'referrer') || textOf(context, '$referrer')
      const source = readSource(url, referrer, context.campaign)
      // PostHog's servers ask for no place; theirs would be the server's.
      const place = context.$geoip_disable === true ? NOWHERE : address.place
      return {
        ip: address.stored[ipPolicy],
        country: place.country,
        region: place.region,
        city: place.city,
        browser: agent.browser,
        browserVersion: agent.browserVersion,
        os: agent.os,
        osVersion: agent.osVersion,
        deviceType: agent.deviceType,
        isBot: signals !== '',
        botSignals: signals,
        channel: source.channel,
        referrerDomain: source.referrerDomain,
        utmSource: source.utmSource,
        utmMedium: source.utmMedium,
        utmCampaign: source.utmCampaign,
        utmTerm: source.utmTerm,
        utmContent: source.utmContent,
        clockSkewMs,
      }
    },
  }
}
