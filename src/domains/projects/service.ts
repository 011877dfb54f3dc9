import { LRUCache } from 'lru-cache'
import { forbidden, invalidRequest, unavailable } from '../../errors.ts'
import { challenge, type Permission, type Principal, type ProjectScope } from '../../http/access.ts'
import { newId } from '../../ids.ts'
import { append } from '../../infra/outbox.ts'
import type { Postgres, SystemTx, TenantTx } from '../../infra/postgres.ts'
import type { OrganizationsService } from '../organizations/index.ts'
import { keyNotFound, projectNotFound } from './errors.ts'
import { generateKey, hashKey, isWellFormedKey, keyHint } from './keys.ts'
import type { Key, NewKey } from './schemas.ts'
import { findKeyByHash, findProject, insertKey, type KeyRow, listKeys, revokeKey } from './store.ts'

export type ProjectsService = ReturnType<typeof createProjectsService>

/** The kind of the fact that a revocation leaves in the outbox; its payload is `{ keyId, projectId }`. */
export const KEY_REVOKED = 'api_key.revoked'

/**
 * How long a process may act on what it knows of a key. A revocation normally arrives within a second as a fact; this bounds it
 * when the message is lost, with a second to spare of the five that are promised. While Postgres is away the last known answer
 * goes on serving, so ingestion does not stop with it.
 */
const KEY_CACHE_TTL_MS = 4000
const KEY_CACHE_SIZE = 10_000

interface Dependencies {
  postgres: Postgres
  organizations: OrganizationsService
}

export function createProjectsService({ postgres, organizations }: Dependencies) {
  const keys = new LRUCache<string, { key: KeyRow | null }>({
    max: KEY_CACHE_SIZE,
    ttl: KEY_CACHE_TTL_MS,
    allowStaleOnFetchRejection: true,
    noDeleteOnFetchRejection: true,
    fetchMethod: async (hash) => ({ key: (await postgres.withSystem((tx) => findKeyByHash(tx, hash))) ?? null }),
  })
  // A project never moves to another organization, so its owner can be kept until it falls out of the cache.
  const owners = new LRUCache<string, string>({
    max: KEY_CACHE_SIZE,
    fetchMethod: async (projectId) => (await postgres.withSystem((tx) => findProject(tx, projectId)))?.organizationId,
  })

  return {
    /**
     * Resolves a write key or an API key to its principal; throws 401 for every key that does not act, without saying why, and 503
     * for one that cannot be looked up: a client gives up after a 401 and comes back after a 503.
     */
    async authenticateKey(text: string): Promise<Principal> {
      if (!isWellFormedKey(text)) throw noSuchKey()
      const known = await keys.fetch(hashKey(text))
      if (!known) throw unavailable('The key cannot be checked right now. Send the same request again in a moment.')
      const { key } = known
      if (!key || (key.expiresAt && key.expiresAt.getTime() <= Date.now())) {
        throw noSuchKey()
      }
      const { id, organizationId, projectId } = key
      return { kind: 'key', keyId: id, organizationId, projectId, permissions: key.scopes as Permission[] }
    },

    /** Checks a permission in a project; see AccessRules.authorize. */
    async authorize(
      principal: Principal,
      permission: Permission,
      projectId: string | undefined,
    ): Promise<ProjectScope> {
      if (principal.kind === 'key') {
        if (projectId !== undefined && projectId !== principal.projectId) throw noSuchProject()
        if (!principal.permissions.includes(permission)) throw forbidden(`The key lacks the scope ${permission}.`)
        return { organizationId: principal.organizationId, projectId: principal.projectId }
      }
      if (projectId === undefined) throw forbidden('This route takes a write key or an API key.')
      const organizationId = await owners.fetch(projectId)
      if (organizationId === undefined) throw noSuchProject()
      const permissions =
        principal.kind === 'viewer'
          ? viewerPermissions(principal.projectId, projectId)
          : await organizations.permissionsOf(organizationId, principal.userId)
      if (!permissions) throw noSuchProject()
      if (!permissions.includes(permission)) throw forbidden(`Your role lacks the permission ${permission}.`)
      return { organizationId, projectId }
    },

    /** Makes a key and returns it with its secret, which is not stored and cannot be shown again. */
    async createKey(scope: ProjectScope, maker: Principal, input: NewKey): Promise<Key & { key: string }> {
      if (maker.kind === 'key') {
        const lacking = scopesOf(input).filter((permission) => !maker.permissions.includes(permission))
        if (lacking.length > 0)
          throw forbidden(`A key can give only scopes that it has itself; it lacks ${lacking.join(', ')}.`)
      }
      return postgres.withTenant(scope.organizationId, (tx) => issueKey(tx, scope, input))
    },

    async listKeys({ organizationId, projectId }: ProjectScope, page: { limit: number; after: string }) {
      const rows = await postgres.withTenant(organizationId, (tx) =>
        listKeys(tx, projectId, { ...page, limit: page.limit + 1 }),
      )
      const data = rows.slice(0, page.limit).map(toKey)
      return { data, nextCursor: rows.length > page.limit ? (data.at(-1)?.id ?? null) : null }
    },

    /** Revokes a key. Every process stops honoring it within a second normally, five at the most. */
    async revokeKey({ organizationId, projectId }: ProjectScope, keyId: string): Promise<void> {
      await postgres.withTenant(organizationId, async (tx) => {
        const row = await revokeKey(tx, projectId, keyId)
        if (!row) throw keyNotFound('There is no such key in this project.')
        await append(tx, { organizationId, kind: KEY_REVOKED, payload: { keyId, projectId } })
      })
    },

    /** Drops what this process remembers of a key. */
    forgetKey(keyId: string): void {
      for (const [hash, known] of keys.entries()) if (known.key?.id === keyId) keys.delete(hash)
    },
  }
}

/** Makes a key inside a transaction of the caller's. */
export async function issueKey(
  tx: TenantTx | SystemTx,
  scope: ProjectScope,
  input: NewKey,
): Promise<Key & { key: string }> {
  const scopes = scopesOf(input)
  const expiresAt = input.expiresAt === undefined ? null : new Date(input.expiresAt)
  if (expiresAt && expiresAt.getTime() <= Date.now()) throw invalidField('/expiresAt', 'must be in the future')
  const key = generateKey(input.kind)
  const row = await insertKey(tx, {
    id: newId('key'),
    ...scope,
    name: input.name,
    kind: input.kind,
    hash: hashKey(key),
    hint: keyHint(key),
    scopes: [...scopes],
    expiresAt,
  })
  return { ...toKey(row), key }
}

function scopesOf({ kind, scopes }: NewKey): readonly Permission[] {
  if (kind === 'write') return ['events:write']
  if (!scopes) throw invalidField('/scopes', 'An api key needs its scopes.')
  return scopes
}

function toKey({ id, projectId, name, kind, hint, scopes, createdAt, expiresAt }: KeyRow): Key {
  const expires = expiresAt?.toISOString() ?? null
  return { id, projectId, name, kind, hint, scopes, createdAt: createdAt.toISOString(), expiresAt: expires }
}

/** The start page's own credential watches one project and does nothing else. */
function viewerPermissions(own: string, asked: string): readonly Permission[] | undefined {
  return own === asked ? ['query:read'] : undefined
}

const noSuchKey = () => challenge('The key is not known, has expired or was revoked.')
const noSuchProject = () => projectNotFound('There is no such project.')
const invalidField = (path: string, message: string) =>
  invalidRequest('The key cannot be made like this.', { errors: [{ path, message }] })
