import { invalidRequest } from '../../../../errors.ts'

/** An address on this very server: whoever comes back from paying must not be sent to somebody else's page. */
export function ownUrl(publicUrl: string, field: string, text: string | undefined): string {
  if (text === undefined) return new URL('/', publicUrl).href
  const url = URL.canParse(text, publicUrl) ? new URL(text, publicUrl) : undefined
  if (url && url.origin === new URL(publicUrl).origin && !url.username && !url.password) return url.href
  const message = 'must be a path or a URL of this server'
  throw invalidRequest(`/${field} ${message}.`, { errors: [{ path: `/${field}`, message }] })
}
