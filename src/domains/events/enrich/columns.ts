/** What is added to an event when it arrives. Empty text means: not known. */
export interface Enrichment {
  /** As the project's policy lets it be stored. */
  ip: string
  /** ISO 3166-1 alpha-2. */
  country: string
  region: string
  city: string
  browser: string
  /** The major version. */
  browserVersion: string
  os: string
  osVersion: string
  /** desktop, mobile, tablet, tv, bot …; `other` for a program that is no browser. */
  deviceType: string
  isBot: boolean
  /** Why `isBot`: names of `BotSignal`, joined with `+`. */
  botSignals: string
  /** How the visitor came; empty where the event is no arrival. */
  channel: string
  referrerDomain: string
  utmSource: string
  utmMedium: string
  utmCampaign: string
  utmTerm: string
  utmContent: string
  /** How far the sender's clock is ahead of ours. The corrected time is `timestamp - clockSkewMs`. */
  clockSkewMs: number
}

export type EnrichmentColumn = readonly [column: string, key: keyof Enrichment, type: 'String' | 'UInt8' | 'Int64']

export const PLACE_COLUMNS = [
  ['ip', 'ip', 'String'],
  ['country', 'country', 'String'],
  ['region', 'region', 'String'],
  ['city', 'city', 'String'],
] as const satisfies readonly EnrichmentColumn[]

export const DEVICE_COLUMNS = [
  ['browser', 'browser', 'String'],
  ['browser_version', 'browserVersion', 'String'],
  ['os', 'os', 'String'],
  ['os_version', 'osVersion', 'String'],
  ['device_type', 'deviceType', 'String'],
] as const satisfies readonly EnrichmentColumn[]

export const BOT_COLUMNS = [
  ['is_bot', 'isBot', 'UInt8'],
  ['bot_signals', 'botSignals', 'String'],
] as const satisfies readonly EnrichmentColumn[]

export const SOURCE_COLUMNS = [
  ['channel', 'channel', 'String'],
  ['referrer_domain', 'referrerDomain', 'String'],
  ['utm_source', 'utmSource', 'String'],
  ['utm_medium', 'utmMedium', 'String'],
  ['utm_campaign', 'utmCampaign', 'String'],
  ['utm_term', 'utmTerm', 'String'],
  ['utm_content', 'utmContent', 'String'],
] as const satisfies readonly EnrichmentColumn[]

export const CLOCK_COLUMNS = [['clock_skew_ms', 'clockSkewMs', 'Int64']] as const satisfies readonly EnrichmentColumn[]

/** The columns of `events` that hold an enrichment, in the order in which a row holds them, with their types. */
export const ENRICHMENT_COLUMNS = [
  ...PLACE_COLUMNS,
  ...DEVICE_COLUMNS,
  ...BOT_COLUMNS,
  ...SOURCE_COLUMNS,
  ...CLOCK_COLUMNS,
] as const satisfies readonly EnrichmentColumn[]
