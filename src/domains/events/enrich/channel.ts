import { type HostKind, kindOfHost, kindOfSource } from './hosts.ts'

export const CHANNELS = [
  'direct',
  'organic_search',
  'paid_search',
  'organic_social',
  'paid_social',
  'email',
  'referral',
  'affiliates',
  'display',
  'other',
] as const
export type Channel = (typeof CHANNELS)[number]

/** What is known of an arrival. Source and medium are in lower case. */
export interface Arrival {
  source: string
  medium: string
  /** Whether the URL carries any other tag of a campaign. */
  hasCampaign: boolean
  /** Name of the query parameter with which a network marks its clicks. */
  clickId: string | undefined
  /** Host of another site, without `www.`. */
  referrerDomain: string
}

/** Click ids of advertisements, and the kind of network that adds them. Facebook adds `fbclid` to every link, so it is not one. */
const PAID_CLICKS = new Map<string, HostKind | 'display'>([
  ['gclid', 'search'],
  ['wbraid', 'search'],
  ['gbraid', 'search'],
  ['msclkid', 'search'],
  ['yclid', 'search'],
  ['dclid', 'display'],
  ['ttclid', 'social'],
  ['twclid', 'social'],
  ['li_fat_id', 'social'],
])
export const CLICK_IDS = [...PAID_CLICKS.keys(), 'fbclid']

const PAID = /^(?:.*cp[cav].*|ppc|retargeting|remarketing|paid.*)$/
const DISPLAY = /^(?:display|banner|expandable|interstitial|cpm)$/
const EMAIL = /^(?:e[-_ ]?mail|newsletter)$/
const SOCIAL = /^(?:social|social[-_ ](?:network|media)|sm)$/
const REFERRAL = /^(?:referral|app|link)$/

/**
 * The first rule that fits, in the manner of Google Analytics 4: what the campaign's medium says, then its source, then the click id,
 * then the referring site. `other` has tags that no rule knows; `direct` has neither tags nor a referring site.
 */
export function channelOf({ source, medium, hasCampaign, clickId, referrerDomain }: Arrival): Channel {
  const click = PAID_CLICKS.get(clickId ?? '')
  const kind = kindOfSource(source) ?? (source === '' ? kindOfHost(referrerDomain) : undefined)
  if (/^affiliates?$/.test(medium)) return 'affiliates'
  if (DISPLAY.test(medium) || (click === 'display' && medium === '')) return 'display'
  if (PAID.test(medium) || (click !== undefined && medium === '')) return paid(kind ?? click)
  if (EMAIL.test(medium) || EMAIL.test(source)) return 'email'
  if (SOCIAL.test(medium)) return 'organic_social'
  if (medium === 'organic') return kind === 'social' ? 'organic_social' : 'organic_search'
  if (REFERRAL.test(medium) && kind === undefined) return 'referral'
  if (kind !== undefined) return ORGANIC[kind]
  if (source !== '' || medium !== '' || hasCampaign) return 'other'
  if (clickId === 'fbclid') return 'organic_social'
  return referrerDomain === '' ? 'direct' : 'referral'
}

const ORGANIC: Record<HostKind, Channel> = { search: 'organic_search', social: 'organic_social', email: 'email' }

function paid(kind: HostKind | 'display' | undefined): Channel {
  if (kind === 'search') return 'paid_search'
  if (kind === 'social') return 'paid_social'
  return kind === 'display' ? 'display' : 'other'
}
