import { pickWeighted, type Random, type Weighted, weighted } from './random.ts'

/** How a visit came about. `buying` is how readily such visitors buy, against direct ones. */
export interface Source {
  campaign?: { name: string; source: string; medium: string; term?: string; content?: string }
  referrer: string
  buying: number
}

export interface Campaign {
  name: string
  source: string
  medium: string
  weight: number
  buying: number
  referrer: string
  /** Shares of the whole range in which it runs, as [from, to). */
  window: [number, number]
  /** How much more traffic the whole shop gets meanwhile. */
  lift: number
  terms?: string[]
}

export const CAMPAIGNS: readonly Campaign[] = [
  campaign('brand_search', 'google', 'cpc', 40, 1.5, 'https://www.google.com/', [0, 1], 1, [
    'nordlicht',
    'nordlicht shop',
  ]),
  campaign('generic_search', 'google', 'cpc', 46, 0.8, 'https://www.google.com/', [0, 1], 1, [
    'desk lamp',
    'bike light',
    'rug',
  ]),
  campaign('retargeting', 'facebook', 'paid_social', 30, 1.3, 'https://l.facebook.com/', [0, 1], 1),
  campaign('lookalike_video', 'instagram', 'paid_social', 26, 0.35, 'https://l.instagram.com/', [0.15, 1], 1),
  campaign('weekly_newsletter', 'newsletter', 'email', 24, 1.9, '', [0, 1], 1),
  campaign('cart_reminder', 'lifecycle', 'email', 9, 3.2, '', [0, 1], 1),
  campaign('partner_blog', 'partnerize', 'affiliate', 14, 1.1, 'https://gearnotes.example/', [0.3, 0.85], 1),
  campaign('creator_push', 'tiktok', 'paid_social', 34, 0.25, 'https://www.tiktok.com/', [0.52, 0.6], 1.2),
  campaign('mid_season_sale', 'newsletter', 'email', 80, 2.4, '', [0.36, 0.4], 1.45),
  campaign('members_week', 'lifecycle', 'email', 95, 2.6, '', [0.79, 0.85], 1.55),
]

type SourceRow = [weight: number, referrer: string, buying: number]
const ORGANIC = weighted<SourceRow>(
  [
    [300, '', 1.1],
    [330, 'https://www.google.com/', 0.9],
    [34, 'https://www.bing.com/', 0.95],
    [22, 'https://duckduckgo.com/', 0.95],
    [20, 'https://www.instagram.com/', 0.35],
    [16, 'https://www.youtube.com/', 0.5],
    [14, 'https://www.reddit.com/', 0.4],
    [12, 'https://www.pinterest.com/', 0.45],
    [9, 'https://chatgpt.com/', 1.2],
    [6, 'https://news.ycombinator.com/', 0.1],
    [4, 'https://gearnotes.example/reviews', 1.4],
    [2, 'https://forum.kitchen-talk.example/', 0.8],
  ],
  ([weight]) => weight,
)
const ORGANIC_SHARE = 0.68

/** Campaigns by hundredths of the range, because picking happens once a visit and the windows do not move. */
const CAMPAIGNS_AT: Weighted<Campaign>[] = Array.from({ length: 100 }, (_, hundredth) =>
  weighted(
    CAMPAIGNS.filter(({ window: [from, to] }) => hundredth / 100 >= from && hundredth / 100 < to),
    ({ weight }) => weight,
  ),
)

/** `share` is how far through the range the visit happens, in [0, 1). */
export function sourceAt(share: number, random: Random): Source {
  const running = CAMPAIGNS_AT[Math.floor(share * 100)]
  if (running === undefined || random.chance(ORGANIC_SHARE)) {
    const [, referrer, buying] = pickWeighted(ORGANIC, random)
    return { referrer, buying }
  }
  const { name, source, medium, terms, referrer, buying } = pickWeighted(running, random)
  const detail = terms ? { term: random.pick(terms) } : { content: random.chance(0.5) ? 'a' : 'b' }
  return { campaign: { name, source, medium, ...detail }, referrer, buying }
}

export function trafficLiftAt(share: number): number {
  let lift = 1
  for (const { window, lift: own } of CAMPAIGNS) if (share >= window[0] && share < window[1]) lift *= own
  return lift
}

function campaign(
  name: string,
  source: string,
  medium: string,
  weight: number,
  buying: number,
  referrer: string,
  window: [number, number],
  lift: number,
  terms?: string[],
): Campaign {
  return { name, source, medium, weight, buying, referrer, window, lift, terms }
}
