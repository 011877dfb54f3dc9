import type { AddressReading } from './address.ts'
import { saysAutomation } from './bot.ts'
import { type AgentReading, NO_DEVICE, readNativeDevice } from './device.ts'
import type { Part } from './part.ts'
import { type Context, isFromNativeApp, isObject, textOf } from './said.ts'
import { createSourceReader, NO_SOURCE, type Source } from './source.ts'

/** All that an event's context says, whoever sent it. */
export interface ContextReading {
  /** Whether the context holds an address, even one that cannot be read. */
  hasAddress: boolean
  /** Of the address that the event names; undefined where it names none. */
  address: AddressReading | undefined
  /** Of the user agent that the event names, else of the device that it describes. */
  agent: AgentReading
  /** The user agent that the event names; '' where it names none, or where it does not name the device. */
  agentText: string
  isNative: boolean
  isAutomation: boolean
  /** PostHog's servers ask for no place: theirs would be the server's. */
  withoutPlace: boolean
  source: Part<Source>
}

const NO_CONTEXT: ContextReading = {
  hasAddress: false,
  address: undefined,
  agent: NO_DEVICE,
  agentText: '',
  isNative: false,
  isAutomation: false,
  withoutPlace: false,
  source: NO_SOURCE,
}

interface Readers {
  readAddress: (text: string) => AddressReading
  readAgent: (text: string) => AgentReading
}

/** Reads contexts as the Segment and PostHog libraries write them; our own do as Segment's. */
export function createContextReader({ readAddress, readAgent }: Readers) {
  const readSource = createSourceReader()

  return function readContext(context: unknown): ContextReading {
    if (!isObject(context)) return NO_CONTEXT
    const ip = textOf(context, 'ip') || textOf(context, '$ip')
    const isNative = isFromNativeApp(context)
    const agentText = isNative ? '' : textOf(context, 'userAgent') || textOf(context, '$raw_user_agent')
    return {
      hasAddress: 'ip' in context || '$ip' in context,
      address: ip === '' ? undefined : readAddress(ip),
      agent: agentText === '' ? readNativeDevice(context) : readAgent(agentText),
      agentText,
      isNative,
      isAutomation: saysAutomation(context),
      withoutPlace: context.$geoip_disable === true,
      source: sourceOf(context),
    }
  }

  function sourceOf(context: Context): Part<Source> {
    const url = textOf(context.page, 'url') || textOf(context, '$current_url')
    const referrer = textOf(context.page, 'referrer') || textOf(context, '$referrer')
    return readSource(url, referrer, context.campaign)
  }
}
