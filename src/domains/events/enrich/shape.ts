import type { Enrichment } from './columns.ts'

/** An enrichment as the API shows it, beside the fields that the sender gave. null stands for not known. */
export interface EnrichmentShape {
  ip: string | null
  geo: { country: string | null; region: string | null; city: string | null } | null
  device: {
    type: string | null
    browser: string | null
    browserVersion: string | null
    os: string | null
    osVersion: string | null
  } | null
  source: {
    channel: string | null
    referrerDomain: string | null
    utmSource: string | null
    utmMedium: string | null
    utmCampaign: string | null
    utmTerm: string | null
    utmContent: string | null
  } | null
  isBot: boolean
  botSignals: string | null
  clockSkewMs: number
}

/** The one shape for the explorer and for live viewers, so that a filter on `geo.country` reads the same in both. */
export function shapeEnrichment(found: Omit<Enrichment, 'isBot'> & { isBot: boolean | number }): EnrichmentShape {
  return {
    ip: found.ip || null,
    geo: known({ country: found.country || null, region: found.region || null, city: found.city || null }),
    device: known({
      type: found.deviceType || null,
      browser: found.browser || null,
      browserVersion: found.browserVersion || null,
      os: found.os || null,
      osVersion: found.osVersion || null,
    }),
    source: known({
      channel: found.channel || null,
      referrerDomain: found.referrerDomain || null,
      utmSource: found.utmSource || null,
      utmMedium: found.utmMedium || null,
      utmCampaign: found.utmCampaign || null,
      utmTerm: found.utmTerm || null,
      utmContent: found.utmContent || null,
    }),
    isBot: Boolean(found.isBot),
    botSignals: found.botSignals || null,
    clockSkewMs: found.clockSkewMs,
  }
}

/** null in place of an object of nothing but nulls. */
function known<T extends object>(part: T): T | null {
  return Object.values(part).some((value) => value !== null) ? part : null
}
