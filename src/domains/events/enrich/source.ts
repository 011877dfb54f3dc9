import { LRUCache } from 'lru-cache'
import { CLICK_IDS, channelOf } from './channel.ts'
import { SOURCE_COLUMNS } from './columns.ts'
import { encodePart, type Part } from './part.ts'
import { bounded, isObject, textOf } from './said.ts'

export interface Source {
  channel: string
  referrerDomain: string
  utmSource: string
  utmMedium: string
  utmCampaign: string
  utmTerm: string
  utmContent: string
}

export const NO_SOURCE: Part<Source> = encodePart(SOURCE_COLUMNS, {
  channel: '',
  referrerDomain: '',
  utmSource: '',
  utmMedium: '',
  utmCampaign: '',
  utmTerm: '',
  utmContent: '',
})

const URL_LENGTH_MAX = 8192
const VALUE_LENGTH_MAX = 200
const CACHED_SOURCES = 10_000
/** Longer ones are read every time, so that they cannot fill the memory. */
const CACHED_LENGTH_MAX = 1024

/** Where a visitor came from, by the page's URL, its referrer, and the campaign that the client found itself (which wins). */
export function createSourceReader() {
  const cache = new LRUCache<string, Part<Source>>({ max: CACHED_SOURCES })

  return function readSource(url: string, referrer: string, campaign: unknown): Part<Source> {
    if (url === '' && referrer === '' && campaign === undefined) return NO_SOURCE
    const key = `${url}\n${referrer}${isObject(campaign) ? campaignKey(campaign) : ''}`
    if (key.length > CACHED_LENGTH_MAX) return encodePart(SOURCE_COLUMNS, parseSource(url, referrer, campaign))
    const known = cache.get(key)
    if (known) return known
    const source = encodePart(SOURCE_COLUMNS, parseSource(url, referrer, campaign))
    cache.set(key, source)
    return source
  }
}

const CAMPAIGN_NAMES = ['source', 'medium', 'name', 'term', 'content'] as const

const campaignKey = (campaign: unknown) => CAMPAIGN_NAMES.map((name) => `\n${textOf(campaign, name)}`).join('')

function parseSource(url: string, referrer: string, campaign: unknown): Source {
  const query = queryOf(url)
  const [source, medium, name, term, content] = CAMPAIGN_NAMES.map((part) => {
    const tag = part === 'name' ? 'utm_campaign' : `utm_${part}`
    return bounded((textOf(campaign, part) || query?.get(tag) || '').trim(), VALUE_LENGTH_MAX)
  }) as [string, string, string, string, string]
  const pageHost = hostOf(url)
  const referringHost = hostOf(referrer)
  const isInternal = referringHost !== '' && isSameSite(pageHost, referringHost)
  const referrerDomain = isInternal ? '' : referringHost
  const tags = { utmSource: source, utmMedium: medium, utmCampaign: name, utmTerm: term, utmContent: content }
  const isTagged = Object.values(tags).some((value) => value !== '')
  const clickId = CLICK_IDS.find((id) => query?.has(id))
  // A step within the site, or an event without a page, is no arrival: calling it direct would drown those that are.
  const isArrival = isTagged || clickId !== undefined || (pageHost !== '' && !isInternal) || referrerDomain !== ''
  if (!isArrival) return { ...NO_SOURCE.value, ...tags }
  const channel = channelOf({
    source: source.toLowerCase(),
    medium: medium.toLowerCase(),
    hasCampaign: isTagged,
    clickId,
    referrerDomain,
  })
  return { channel, referrerDomain, ...tags }
}

const TAGGED = new RegExp(`[?&](?:utm_|${CLICK_IDS.join('|')})`)

/** The parameters, where there are any that matter. Taken from the text, so that a relative URL has them too. */
function queryOf(url: string): URLSearchParams | undefined {
  const text = url.slice(0, URL_LENGTH_MAX)
  const start = text.indexOf('?')
  if (start < 0 || !TAGGED.test(text)) return undefined
  const end = text.indexOf('#', start)
  return new URLSearchParams(text.slice(start, end < 0 ? undefined : end))
}

/** In lower case and without `www.`; '' where there is none. PostHog writes `$direct` for no referrer. */
function hostOf(url: string): string {
  if (url === '' || !url.includes('://')) return ''
  const host = URL.parse(url.slice(0, URL_LENGTH_MAX))?.hostname ?? ''
  return bounded(host.startsWith('www.') ? host.slice(4) : host, 253).toLowerCase()
}

/** One site is the other or below it. Two subdomains of one domain may belong to two owners, so they are two sites. */
function isSameSite(a: string, b: string): boolean {
  return a === b || (a !== '' && (a.endsWith(`.${b}`) || b.endsWith(`.${a}`)))
}
