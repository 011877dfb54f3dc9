import { pickWeighted, type Random, weighted } from './random.ts'

export interface Country {
  code: string
  weight: number
  /** Standard time the whole year round: the offset must not depend on the machine's time zone data. */
  utcOffsetHours: number
  timeZone: string
  locales: readonly string[]
  currency: 'EUR' | 'USD' | 'GBP'
}

type CountryRow = [string, number, number, string, string[], Country['currency']?]
const COUNTRY_ROWS: CountryRow[] = [
  ['US', 300, -6, 'America/Chicago', ['en-US', 'en-US', 'en-US', 'es-US']],
  ['DE', 180, 1, 'Europe/Berlin', ['de-DE', 'de-DE', 'de-DE', 'en-DE'], 'EUR'],
  ['GB', 120, 0, 'Europe/London', ['en-GB'], 'GBP'],
  ['FR', 85, 1, 'Europe/Paris', ['fr-FR'], 'EUR'],
  ['CA', 45, -5, 'America/Toronto', ['en-CA', 'en-CA', 'fr-CA']],
  ['NL', 42, 1, 'Europe/Amsterdam', ['nl-NL', 'nl-NL', 'en-NL'], 'EUR'],
  ['ES', 38, 1, 'Europe/Madrid', ['es-ES'], 'EUR'],
  ['IT', 36, 1, 'Europe/Rome', ['it-IT'], 'EUR'],
  ['AT', 30, 1, 'Europe/Vienna', ['de-AT'], 'EUR'],
  ['PL', 26, 1, 'Europe/Warsaw', ['pl-PL'], 'EUR'],
  ['AU', 25, 10, 'Australia/Sydney', ['en-AU']],
  ['CH', 22, 1, 'Europe/Zurich', ['de-CH', 'de-CH', 'fr-CH', 'it-CH'], 'EUR'],
  ['SE', 20, 1, 'Europe/Stockholm', ['sv-SE'], 'EUR'],
  ['BE', 18, 1, 'Europe/Brussels', ['nl-BE', 'fr-BE'], 'EUR'],
  ['IN', 18, 5.5, 'Asia/Kolkata', ['en-IN', 'hi-IN']],
  ['BR', 15, -3, 'America/Sao_Paulo', ['pt-BR']],
  ['JP', 14, 9, 'Asia/Tokyo', ['ja-JP']],
  ['DK', 11, 1, 'Europe/Copenhagen', ['da-DK'], 'EUR'],
  ['IE', 10, 0, 'Europe/Dublin', ['en-IE'], 'EUR'],
  ['MX', 9, -6, 'America/Mexico_City', ['es-MX']],
  ['NO', 8, 1, 'Europe/Oslo', ['nb-NO'], 'EUR'],
  ['PT', 7, 0, 'Europe/Lisbon', ['pt-PT'], 'EUR'],
  ['CZ', 6, 1, 'Europe/Prague', ['cs-CZ'], 'EUR'],
  ['ZA', 4, 2, 'Africa/Johannesburg', ['en-ZA']],
  ['NZ', 3, 12, 'Pacific/Auckland', ['en-NZ']],
  ['IS', 1, 0, 'Atlantic/Reykjavik', ['is-IS'], 'EUR'],
]
export const COUNTRIES: readonly Country[] = COUNTRY_ROWS.map(
  ([code, weight, utcOffsetHours, timeZone, locales, currency = 'USD']) => {
    return { code, weight, utcOffsetHours, timeZone, locales, currency }
  },
)

export interface Device {
  anonymousId: string
  isApp: boolean
  /** How readily people buy on it, against a desktop browser. */
  buying: number
  context: {
    device: { type: string; manufacturer: string }
    os: { name: string; version: string }
    browser: { name: string; version: string } | null
    app: { name: string; version: string } | null
    screen: { width: number; height: number; density: number }
  }
}

/** A platform's weight, then device type, maker, os, os versions, browser, browser versions and screen size and density. */
type Platform = [number, string, string, string, string[], string | null, string[], number, number, number]
const PLATFORMS = weighted<Platform>(
  [
    [
      230,
      'mobile',
      'Apple',
      'iOS',
      ['18.6', '26.0', '26.1', '26.1'],
      'Mobile Safari',
      ['18.6', '26.0', '26.1'],
      390,
      844,
      3,
    ],
    [210, 'desktop', 'PC', 'Windows', ['10', '11', '11', '11'], 'Chrome', ['143', '144', '145', '145'], 1920, 1080, 1],
    [190, 'mobile', 'Samsung', 'Android', ['14', '15', '16'], 'Chrome Mobile', ['143', '144', '145'], 384, 854, 2.8],
    [95, 'desktop', 'Apple', 'macOS', ['15.6', '26.0', '26.1'], 'Safari', ['18.6', '26.0', '26.1'], 1512, 982, 2],
    [80, 'desktop', 'Apple', 'macOS', ['15.6', '26.0', '26.1'], 'Chrome', ['144', '145'], 1728, 1117, 2],
    [60, 'desktop', 'PC', 'Windows', ['10', '11', '11'], 'Edge', ['143', '144'], 1536, 864, 1.25],
    [45, 'desktop', 'PC', 'Windows', ['10', '11'], 'Firefox', ['140', '146', '147'], 1920, 1080, 1],
    [40, 'mobile', 'Apple', 'iOS', ['26.0', '26.1'], null, ['4.18.0', '4.19.1'], 393, 852, 3],
    [35, 'mobile', 'Google', 'Android', ['16'], null, ['4.18.0', '4.19.1'], 412, 915, 2.6],
    [30, 'mobile', 'Xiaomi', 'Android', ['13', '14', '15'], 'Chrome Mobile', ['141', '144', '145'], 393, 873, 2.75],
    [25, 'tablet', 'Apple', 'iPadOS', ['18.6', '26.1'], 'Safari', ['18.6', '26.1'], 820, 1180, 2],
    [18, 'desktop', 'PC', 'Linux', ['6.12', '6.17'], 'Firefox', ['140', '147'], 2560, 1440, 1],
    [10, 'mobile', 'Samsung', 'Android', ['14', '15'], 'Samsung Internet', ['28', '29'], 360, 780, 3],
    [4, 'desktop', 'PC', 'ChromeOS', ['143'], 'Chrome', ['143'], 1366, 768, 1],
  ],
  ([weight]) => weight,
)
const BUYING_BY_DEVICE: Record<string, number> = { desktop: 1, tablet: 0.8, mobile: 0.55 }

export function newDevice(random: Random): Device {
  const [, type, manufacturer, osName, osVersions, browserName, versions, width, height, density] = pickWeighted(
    PLATFORMS,
    random,
  )
  const version = random.pick(versions)
  return {
    anonymousId: random.uuid(),
    isApp: browserName === null,
    buying: browserName === null ? 1.2 : (BUYING_BY_DEVICE[type] ?? 1),
    context: {
      device: { type, manufacturer },
      os: { name: osName, version: random.pick(osVersions) },
      browser: browserName === null ? null : { name: browserName, version },
      app: browserName === null ? { name: 'Nordlicht', version } : null,
      screen: { width, height, density },
    },
  }
}
