export type HostKind = 'search' | 'social' | 'email'

const SEARCH = `bing.com duckduckgo.com baidu.com ecosia.org qwant.com startpage.com search.brave.com search.yahoo.com yahoo.com naver.com
  daum.net seznam.cz sogou.com so.com kagi.com ask.com search.aol.com mojeek.com swisscows.com presearch.com you.com rambler.ru ya.ru
  com.google.android.googlequicksearchbox`
const SOCIAL = `facebook.com fb.com fb.me messenger.com instagram.com threads.net threads.com twitter.com x.com t.co linkedin.com lnkd.in
  youtube.com youtu.be tiktok.com reddit.com redd.it pinterest.com pin.it snapchat.com tumblr.com vk.com ok.ru weibo.com bsky.app
  mastodon.social whatsapp.com wa.me telegram.org telegram.me t.me discord.com quora.com xing.com line.me kakao.com news.ycombinator.com
  com.facebook.katana com.instagram.android com.linkedin.android com.twitter.android com.reddit.frontpage com.zhiliaoapp.musically`
const EMAIL = `mail.google.com outlook.live.com outlook.office.com outlook.office365.com mail.yahoo.com mail.aol.com mail.proton.me
  mail.zoho.com mail.ru e.mail.ru gmx.net web.de fastmail.com com.google.android.gm com.microsoft.office.outlook`

const words = (text: string) => text.split(/\s+/)
const KINDS = new Map<string, HostKind>([
  ...words(SEARCH).map((host) => [host, 'search'] as const),
  ...words(SOCIAL).map((host) => [host, 'social'] as const),
  ...words(EMAIL).map((host) => [host, 'email'] as const),
])

/** Sites with a domain per country. Google's other services, as docs.google.com, are not its search. */
const GLOBAL: [RegExp, HostKind][] = [
  [/^(?:google|(?:[a-z]+\.)?search\.yahoo|yandex)\.(?:com?\.)?[a-z]{2,3}$/, 'search'],
  [/(?:^|\.)pinterest\.(?:com?\.)?[a-z]{2,3}$/, 'social'],
]

/** What a host without `www.` is known for. A subdomain is known for what its domain is, unless it is listed itself. */
export function kindOfHost(host: string): HostKind | undefined {
  const global = GLOBAL.find(([pattern]) => pattern.test(host))
  if (global) return global[1]
  for (let rest = host; rest.includes('.'); rest = rest.slice(rest.indexOf('.') + 1)) {
    const kind = KINDS.get(rest)
    if (kind) return kind
  }
  return undefined
}

/** Names that campaigns give as their source: those of the hosts above, and common short forms. */
const NAMES = new Map<string, HostKind>([
  ...[...KINDS]
    .filter(([host, kind]) => kind !== 'email' && host.split('.').length === 2)
    .map(([host, kind]) => [host.slice(0, host.indexOf('.')), kind] as const),
  ['google', 'search'],
  ['yandex', 'search'],
  ['adwords', 'search'],
  ['ig', 'social'],
  ['meta', 'social'],
  ['twitter', 'social'],
])

/** What the source of a campaign is known for, as a name or as a host. */
export function kindOfSource(source: string): HostKind | undefined {
  return source.includes('.') ? kindOfHost(source.replace(/^www\./, '')) : NAMES.get(source)
}
