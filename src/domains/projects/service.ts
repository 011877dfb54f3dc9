import { LRUCache } from 'lru-cache'
import { forbidden, invalidRequest, unavailable } from '../../errors.ts'
import {
  challenge,
  type KeyPrincipal,
  type Permission,
  type Principal,
  type ProjectScope,
  type ProjectSettings,
} from '../../http/access.ts'
import type { Acting } from '../../http/acting.ts'
import { newId } from '../../ids.ts'
import { append } from '../../infra/outbox.ts'
import type { Postgres, SystemTx, TenantTx } from '../../infra/postgres.ts'
import { record } from '../audit/index.ts'
import { frozenBecause, type OrganizationsService } from '../organizations/index.ts'
import { keyNotFound, projectNotFound } from './errors.ts'
import { generateKey, hashKey, isWellFormedKey, keyHint } from './keys.ts'
import { readOrigins } from './origins.ts'
import { toProject } from './project.ts'
import type { Key, NewKey, Project, ProjectChange } from './schemas.ts'
import {
  findKeyByHash,
  findProject,
  insertKey,
  type KeyRow,
  listKeys,
  lockProject,
  revokeKey,
  updateProject,
} from './store.ts'

export type ProjectsService = ReturnType<typeof createProjectsService>

/** The kind of the fact that a revocation leaves in the outbox; its payload is `{ keyId, projectId }`. */
export const KEY_REVOKED = 'api_key.revoked'
/** The kind of the fact that a change of a project leaves; its payload is `{ projectId }`. */
export const PROJECT_CHANGED = 'project.changed'

/**
 * How long a process may act on what it knows of a key and its project. A change normally arrives within a second as a fact; this
 * bounds it when the message is lost, with a second to spare of the five that are promised. While Postgres is away the last known
 * answer goes on serving, so ingestion does not stop with it.
 */
const KEY_CACHE_TTL_MS = 4000
const KEY_CACHE_SIZE = 10_000

interface Dependencies {
  postgres: Postgres
  organizations: OrganizationsService
}

interface KnownKey {
  principal: KeyPrincipal
  expiresAtMs: number
  isFrozen: boolean
  frozenReason: string | null
}

export function createProjectsService({ postgres, organizations }: Dependencies) {
  const keys = new LRUCache<string, KnownKey | { principal: null }>({
    max: KEY_CACHE_SIZE,
    ttl: KEY_CACHE_TTL_MS,
    allowStaleOnFetchRejection: true,
    noDeleteOnFetchRejection: true,
    fetchMethod: async (hash) => {
      const found = await postgres.withSystem((tx) => findKeyByHash(tx, hash))
      if (!found) return { principal: null }
      const { isFrozen, frozenReason } = found
      const expiresAtMs = found.key.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY
      return { principal: toPrincipal(found), expiresAtMs, isFrozen, frozenReason }
    },
  })
  // Of keys that act, so that a request need not hash the one it came with.
  const hashes = new LRUCache<string, string>({ max: KEY_CACHE_SIZE })
  const forget = (matches: (principal: KeyPrincipal) => boolean) => {
    for (const [hash, { principal }] of keys.entries()) if (principal && matches(principal)) keys.delete(hash)
  }
  // A project never moves to another organization, so its owner can be kept until it falls out of the cache.
  const owners = new LRUCache<string, string>({
    max: KEY_CACHE_SIZE,
    fetchMethod: async (projectId) => (await postgres.withSystem((tx) => findProject(tx, projectId)))?.organizationId,
  })

  /** Nobody can make a key that may do more than they may; a person may always make one that sends events. */
  async function assertMayGive(organizationId: string, maker: Principal, scopes: readonly Permission[]): Promise<void> {
    const own = maker.kind === 'session' ? await organizations.permissionsOf(organizationId, maker.userId) : undefined
    const allowed = maker.kind === 'key' ? maker.permissions : ['events:write', ...(own ?? [])]
    const lacking = scopes.filter((permission) => !allowed.includes(permission))
    if (lacking.length === 0) return
    const giver = maker.kind === 'key' ? 'A key can give only scopes that it has itself; it' : 'Your role'
    throw forbidden(`${giver} lacks ${lacking.join(', ')}.`)
  }

  return {
    /**
     * Resolves a write key or an API key to its principal; throws 401 for every key that does not act, without saying why, and 503
     * for one that cannot be looked up: a client gives up after a 401 and comes back after a 503. 403 while its organization is frozen.
     */
    async authenticateKey(text: string): Promise<Principal> {
      const knownHash = hashes.get(text)
      if (!knownHash && !isWellFormedKey(text)) throw noSuchKey()
      const hash = knownHash ?? hashKey(text)
      const known = await keys.fetch(hash)
      if (!known) throw unavailable('The key cannot be checked right now. Send the same request again in a moment.')
      if (!known.principal || known.expiresAtMs <= Date.now()) throw noSuchKey()
      if (known.isFrozen) throw frozenBecause(known.frozenReason)
      if (!knownHash) hashes.set(text, hash)
      return known.principal
    },

    /** Checks a permission in a project; see AccessRules.authorize. */
    async authorize(
      principal: Principal,
      permission: Permission,
      projectId: string | undefined,
      whileFrozen: boolean,
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
          : await organizations.permissionsOf(organizationId, principal.userId, whileFrozen)
      if (!permissions) throw noSuchProject()
      if (!permissions.includes(permission)) throw forbidden(`Your role lacks the permission ${permission}.`)
      if (principal.kind === 'viewer' && !whileFrozen) await organizations.assertThawed(organizationId)
      return { organizationId, projectId }
    },

    /** Makes a key and returns it with its secret, which is not stored and cannot be shown again. */
    async createKey(scope: ProjectScope, input: NewKey, maker: Acting): Promise<Key & { key: string }> {
      const { organizationId, projectId } = scope
      await assertMayGive(organizationId, maker.principal, scopesOf(input))
      return postgres.withTenant(organizationId, async (tx) => {
        const made = await issueKey(tx, scope, input)
        const target = { kind: 'api_key', id: made.id }
        await record(tx, { organizationId, projectId, by: maker, action: 'api_key.made', target, after: toFacts(made) })
        return made
      })
    },

    async listKeys({ organizationId, projectId }: ProjectScope, page: { limit: number; after: string }) {
      const rows = await postgres.withTenant(organizationId, (tx) =>
        listKeys(tx, projectId, { ...page, limit: page.limit + 1 }),
      )
      const data = rows.slice(0, page.limit).map(toKey)
      return { data, nextCursor: rows.length > page.limit ? (data.at(-1)?.id ?? null) : null }
    },

    /** Revokes a key. Every process stops honoring it within a second normally, five at the most. */
    async revokeKey({ organizationId, projectId }: ProjectScope, keyId: string, by: Acting): Promise<void> {
      await postgres.withTenant(organizationId, async (tx) => {
        const row = await revokeKey(tx, projectId, keyId)
        if (!row) throw keyNotFound('There is no such key in this project.')
        await append(tx, { organizationId, kind: KEY_REVOKED, payload: { keyId, projectId } })
        const target = { kind: 'api_key', id: keyId }
        const before = toFacts(toKey(row))
        await record(tx, { organizationId, projectId, by, action: 'api_key.revoked', target, before })
      })
    },

    /** Drops what this process remembers of a key. */
    forgetKey: (keyId: string): void => forget((principal) => principal.keyId === keyId),

    async readProject({ organizationId, projectId }: ProjectScope): Promise<Project> {
      const row = await postgres.withTenant(organizationId, (tx) => findProject(tx, projectId))
      if (!row) throw noSuchProject()
      return toProject(row)
    },

    async ipPolicyOf({ organizationId, projectId }: ProjectScope): Promise<ProjectSettings['ipPolicy']> {
      const row = await postgres.withTenant(organizationId, (tx) => findProject(tx, projectId))
      if (!row) throw noSuchProject()
      return row.ipPolicy
    },

    /** Changes a project. Every process acts on it within a second normally, five at the most; this one at once. */
    async changeProject(scope: ProjectScope, input: ProjectChange, by: Acting): Promise<Project> {
      const { organizationId, projectId } = scope
      const change = { ...input, ...(input.allowedOrigins && { allowedOrigins: readOrigins(input.allowedOrigins) }) }
      const row = await postgres.withTenant(organizationId, async (tx) => {
        const before = await lockProject(tx, projectId)
        const changed = before && (await updateProject(tx, projectId, change))
        if (!changed) throw noSuchProject()
        await append(tx, { organizationId, kind: PROJECT_CHANGED, payload: { projectId } })
        const differences = differencesOf(before, changed, Object.keys(change) as (keyof typeof change)[])
        const target = { kind: 'project', id: projectId }
        if (differences) await record(tx, { ...scope, by, action: 'project.changed', target, ...differences })
        return changed
      })
      forget((principal) => principal.projectId === projectId)
      return toProject(row)
    },

    /** Drops what this process remembers of the keys of an organization. */
    forgetOrganization: (organizationId: string): void =>
      forget((principal) => principal.organizationId === organizationId),

    /** Drops what this process remembers of the keys of a project, and with them of its settings. */
    forgetProject: (projectId: string): void => forget((principal) => principal.projectId === projectId),
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

function toPrincipal({ key, settings }: { key: KeyRow; settings: KeyPrincipal['settings'] }): KeyPrincipal {
  const { id: keyId, organizationId, projectId, scopes } = key
  return { kind: 'key', keyId, organizationId, projectId, permissions: scopes as Permission[], settings }
}

function toKey({ id, projectId, name, kind, hint, scopes, createdAt, expiresAt }: KeyRow): Key {
  const expires = expiresAt?.toISOString() ?? null
  return { id, projectId, name, kind, hint, scopes, createdAt: createdAt.toISOString(), expiresAt: expires }
}

/** What the audit log says of a key. */
const toFacts = ({ name, kind, hint, scopes, expiresAt }: Key) => ({ name, kind, hint, scopes, expiresAt })

/** The fields among the names that are not the same; undefined when all are. */
function differencesOf<T extends object>(before: T, after: T, names: (keyof T & string)[]) {
  const changed = names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
  const pick = (row: T) => Object.fromEntries(changed.map((name) => [name, row[name]]))
  return changed.length === 0 ? undefined : { before: pick(before), after: pick(after) }
}

/** The start page's own credential watches one project and does nothing else. */
function viewerPermissions(own: string, asked: string): readonly Permission[] | undefined {
  return own === asked ? ['query:read'] : undefined
}

const noSuchKey = () => challenge('The key is not known, has expired or was revoked.')
const noSuchProject = () => projectNotFound('There is no such project.')
const invalidField = (path: string, message: string) =>
  invalidRequest('The key cannot be made like this.', { errors: [{ path, message }] })
