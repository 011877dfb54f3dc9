import { invalidRequest } from '../../errors.ts'

const WILDCARD = '*.'

/**
 * The form in which browsers name an origin, of what a person wrote: `https://App.Example.com:443/` is `https://app.example.com`.
 * A first label `*` stands for every subdomain, at any depth, and not for the domain itself.
 */
export function normalizeOrigin(text: string): { origin: string } | { fault: string } {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') return { fault: 'must start with https:// or http://' }
  if (url.username || url.password || url.pathname !== '/' || url.search || url.hash || /[?#]/.test(text)) {
    return { fault: 'must be a scheme, a host and a port, without a path' }
  }
  const domain = url.hostname.startsWith(WILDCARD) ? url.hostname.slice(WILDCARD.length) : undefined
  if ((domain ?? url.hostname).includes('*')) return { fault: 'may have a * only as the whole first label of the host' }
  // Everything below a name such as `com` is not one customer's.
  if (domain !== undefined && domain !== 'localhost' && !domain.includes('.')) {
    return { fault: 'must name a domain after *.' }
  }
  return { origin: `${url.protocol}//${url.host}` }
}

/** What a person wrote as a list of origins, each once. Throws 400, which names each that is none. */
export function readOrigins(texts: string[]): string[] {
  const read = texts.map(normalizeOrigin)
  const errors = read.flatMap((origin, index) =>
    'fault' in origin ? [{ path: `/allowedOrigins/${index}`, message: origin.fault }] : [],
  )
  if (errors.length > 0) throw invalidRequest('The project cannot be changed like this.', { errors })
  return [...new Set(read.flatMap((origin) => ('origin' in origin ? [origin.origin] : [])))]
}

/** Whether pages of an origin are among those that a project names, in the normal form; naming none allows all. */
export function isAllowedOrigin(origin: string, allowed: readonly string[]): boolean {
  return allowed.length === 0 || allowed.some((pattern) => matches(origin, pattern))
}

function matches(origin: string, pattern: string): boolean {
  const star = pattern.indexOf('*')
  if (star === -1) return origin === pattern
  const scheme = pattern.slice(0, star)
  const domain = pattern.slice(star + 1)
  return origin.length > scheme.length + domain.length && origin.startsWith(scheme) && origin.endsWith(domain)
}
