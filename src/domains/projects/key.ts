import { invalidRequest } from '../../errors.ts'
import type { KeyPrincipal, Permission } from '../../http/access.ts'
import type { Key } from './schemas.ts'

type KeyRow = Omit<Key, 'createdAt' | 'expiresAt' | 'lastUsedAt'> & {
  organizationId: string
  createdAt: Date
  expiresAt: Date | null
  lastUsedAt: Date | null
}

/** A key as it is shown. */
export function toKey(row: KeyRow): Key {
  const { id, projectId, name, kind, hint, scopes, allowedIps, requestsPerMinute, createdAt } = row
  const times = {
    createdAt: createdAt.toISOString(),
    expiresAt: textOf(row.expiresAt),
    lastUsedAt: textOf(row.lastUsedAt),
  }
  return { id, projectId, name, kind, hint, scopes, allowedIps, requestsPerMinute, ...times }
}

/** Who acts with a key. */
export function toPrincipal({ key, settings }: { key: KeyRow; settings: KeyPrincipal['settings'] }): KeyPrincipal {
  const { id: keyId, organizationId, projectId, scopes, requestsPerMinute } = key
  const permissions = scopes as Permission[]
  const expiresAtMs = key.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY
  return { kind: 'key', keyId, organizationId, projectId, permissions, expiresAtMs, requestsPerMinute, settings }
}

/** What the audit log says of a key. */
export const toFacts = ({ name, kind, hint, scopes, allowedIps, requestsPerMinute, expiresAt }: Key) => ({
  name,
  kind,
  hint,
  scopes,
  allowedIps,
  requestsPerMinute,
  expiresAt,
})

const textOf = (time: Date | null) => time?.toISOString() ?? null

/** The end that somebody gives a key. */
export function readExpiry(text: string | null | undefined): Date | null {
  const expiresAt = text == null ? null : new Date(text)
  if (expiresAt && !(expiresAt.getTime() > Date.now())) throw invalidField('/expiresAt', 'must be in the future')
  return expiresAt
}

export const invalidField = (path: string, message: string) =>
  invalidRequest('The key cannot be like this.', { errors: [{ path, message }] })
