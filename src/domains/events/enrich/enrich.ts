import { LRUCache } from 'lru-cache'
import { fromBytes, toBytes } from '../row.ts'
import { createAddressReader, NO_ADDRESS, withoutPlace } from './address.ts'
import { readBot } from './bot.ts'
import { CLOCK_COLUMNS, type Enrichment } from './columns.ts'
import { type ContextReading, createContextReader } from './context.ts'
import { createAgentReader } from './device.ts'
import { createGeo, type GeoOptions } from './geo.ts'
import { applyIpPolicy, type IpPolicy } from './ip.ts'
import { encodePart } from './part.ts'
import type { Sender } from './sender.ts'

/** What the events of one request share. */
export interface RequestFacts {
  sender: Sender
  ipPolicy: IpPolicy
  /** Of `clockSkewMs`. */
  clockSkewMs: number
}

export type Enricher = ReturnType<typeof createEnricher>

interface KnownContext {
  said: ContextReading
  /** Its text as a policy lets it be stored, where it holds an address. */
  stored: Partial<Record<IpPolicy, string>>
}

const CACHED_CONTEXTS = 5000
/** Longer ones are read every time, so that they cannot fill the memory. */
const CACHED_LENGTH_MAX = 2048

/**
 * Adds to an event what its circumstances tell: place, device, robot or not, source. Never throws and never refuses: what cannot be read
 * is empty. Every part is cached by the text that it depends on, with bounded memory.
 *
 * The event's own context wins over the request, since a server sends for its users. The request's address and user agent count only
 * when it comes from the visitor's browser, and its address also when it comes from a native app.
 */
export function createEnricher(options: GeoOptions) {
  const geo = createGeo(options)
  const readAddress = createAddressReader(geo.locate)
  const readAgent = createAgentReader()
  const readContext = createContextReader({ readAddress, readAgent })
  const contexts = new LRUCache<string, KnownContext>({ max: CACHED_CONTEXTS })

  function combine({ sender }: RequestFacts, said: ContextReading) {
    const address = said.address ?? (sender.isBrowser || said.isNative ? readAddress(sender.ip) : NO_ADDRESS)
    const isSendersAgent = said.agentText === '' || said.agentText === sender.userAgent
    const agent = said.agentText === '' && sender.isBrowser ? readAgent(sender.userAgent) : said.agent
    const bot = readBot({
      userAgent: agent.isBotName,
      automation: said.isAutomation,
      // A relay's headers are its own and do not have to fit the user agent that it passes on.
      headers: sender.contradicts && isSendersAgent,
    })
    return {
      address: said.withoutPlace && address !== NO_ADDRESS ? withoutPlace(address) : address,
      agent,
      bot,
      source: said.source,
    }
  }

  function readText(text: string, policy: IpPolicy): KnownContext {
    const known = contexts.get(text)
    if (known) return known
    const context: unknown = text === '' ? undefined : JSON.parse(fromBytes(text))
    const said = readContext(context)
    const read = { said, stored: said.hasAddress ? { [policy]: storedText(context, policy) } : {} }
    // A copy, because the text is a piece of a body that would stay in memory with it.
    if (text.length <= CACHED_LENGTH_MAX) contexts.set(Buffer.from(text, 'latin1').toString('latin1'), read)
    return read
  }

  return {
    /** Reads the file of places that almost every address needs ahead of time. */
    warm: geo.warm,

    /** The enrichment of an event with this parsed context. */
    enrich(request: RequestFacts, context: unknown): Enrichment {
      const { address, agent, bot, source } = combine(request, readContext(context))
      const { clockSkewMs, ipPolicy } = request
      return { ...address[ipPolicy].value, ...agent.value, ...bot.value, ...source.value, clockSkewMs }
    },

    /**
     * The same for the events of one request, from bytes to bytes: takes the valid JSON text of an event's context, or '', as a text of
     * UTF-8 bytes, and gives the bytes of ENRICHMENT_COLUMNS in RowBinary, and the context as the policy lets it be stored.
     * `hasOwnTime` says that the event's time is of the sender's clock and not of ours.
     */
    forRequest(request: RequestFacts) {
      const skewed = encodePart(CLOCK_COLUMNS, { clockSkewMs: request.clockSkewMs }).bytes
      const unskewed = encodePart(CLOCK_COLUMNS, { clockSkewMs: 0 }).bytes
      const { ipPolicy } = request

      return function columnsOf(text: string, hasOwnTime: boolean): { columns: string; context: string } {
        const { said, stored } = readText(text, ipPolicy)
        const { address, agent, bot, source } = combine(request, said)
        const clock = hasOwnTime ? skewed : unskewed
        const columns = address[ipPolicy].bytes + agent.bytes + bot.bytes + source.bytes + clock
        if (ipPolicy === 'keep' || !said.hasAddress) return { columns, context: text }
        stored[ipPolicy] ??= storedText(JSON.parse(fromBytes(text)), ipPolicy)
        return { columns, context: stored[ipPolicy] }
      }
    },
  }
}

const storedText = (context: unknown, policy: IpPolicy): string =>
  toBytes(JSON.stringify(applyIpPolicy(context, policy)))
