import type { IncomingHttpHeaders } from 'node:http'

/** Who made the request, once for all events in it. */
export interface Sender {
  ip: string
  userAgent: string
  /**
   * Whether the request comes from a visitor's browser. Only then are its address and user agent the visitor's; those of a server
   * that sends for its users say where the server is.
   */
  isBrowser: boolean
  /** Whether the headers do not fit the browser that the user agent names. */
  contradicts: boolean
}

/** Where nothing is known of the request. */
export const NO_SENDER: Sender = { ip: '', userAgent: '', isBrowser: false, contradicts: false }

/**
 * A browser adds `Origin` to what a page sends to another site, and `Sec-Fetch-Site` to everything; no page can suppress them and no HTTP
 * library sends them by itself (Node's `fetch` does send `Sec-Fetch-Mode`). A user agent that begins as all browsers' do counts
 * too: old ones, and robots that load pages.
 */
export function describeSender(ip: string, headers: IncomingHttpHeaders): Sender {
  const userAgent = headers['user-agent'] ?? ''
  const namesBrowser = userAgent.startsWith('Mozilla/5.0 (')
  return {
    ip,
    userAgent,
    isBrowser: namesBrowser || headers.origin !== undefined || headers['sec-fetch-site'] !== undefined,
    contradicts: namesBrowser && (lacksLanguage(headers) || hintsContradict(userAgent, headers)),
  }
}

/** Every browser says which languages its user reads; libraries that borrow a browser's user agent say nothing, or `*`. */
function lacksLanguage(headers: IncomingHttpHeaders): boolean {
  const languages = headers['accept-language']
  return languages === undefined || languages === '' || languages === '*'
}

const PLATFORM_WORDS: Record<string, RegExp> = {
  '"Windows"': /Windows/,
  '"macOS"': /Macintosh/,
  '"Linux"': /Linux/,
  '"Android"': /Android/,
  '"Chrome OS"': /CrOS/,
  '"iOS"': /iPhone|iPad/,
}

/** Client hints are sent by the engine itself, so a user agent that was put over it differs from them. Absent hints say nothing. */
function hintsContradict(userAgent: string, headers: IncomingHttpHeaders): boolean {
  const brands = String(headers['sec-ch-ua'] ?? '').slice(0, 500)
  if (brands.includes('Headless')) return true
  const platform = PLATFORM_WORDS[String(headers['sec-ch-ua-platform'] ?? '')]
  if (platform && !platform.test(userAgent)) return true
  const [said, hinted] = [/ Chrome\/(\d+)/.exec(userAgent), /"Chromium";v="(\d+)/.exec(brands)]
  return hinted !== null && said?.[1] !== hinted[1]
}
