import { LRUCache } from 'lru-cache'
import { forbidden, unavailable } from '../../errors.ts'
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
import { compileAllowedIps, readAllowedIps } from './allowed-ips.ts'
import { differencesOf } from './differences.ts'
import { ipNotAllowed, keyNotFound, projectNotFound } from './errors.ts'
import { KEY_REVOKED, PROJECT_CHANGED } from './fact-kinds.ts'
import { invalidField, readExpiry, toFacts, toKey, toPrincipal } from './key.ts'
import { generateKey, hashKey, isWellFormedKey, keyHint } from './keys.ts'
import { readSettings, toProject } from './project.ts'
import type { RetentionLimit } from './retention/kept-days.ts'
import type { Key, NewKey, Project, ProjectChange } from './schemas.ts'
import { findKeyByHash, findProject, insertKey, listKeys, lockProject, revokeKey, updateProject } from './store.ts'

export type ProjectsService = ReturnType<typeof createProjectsService>

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
  /** How long the plan of an organization keeps events. */
  retentionOf: (organizationId: string) => Promise<RetentionLimit>
  /** Told of each request that a key is good for. */
  noteUse: (principal: KeyPrincipal, usedAtMs: number) => void
}

interface KnownKey {
  principal: KeyPrincipal
  isAllowedFrom: (ip: string) => boolean
  isFrozen: boolean
  frozenReason: string | null
}

export function createProjectsService({ postgres, organizations, retentionOf, noteUse }: Dependencies) {
  const keys = new LRUCache<string, KnownKey | { principal: null }>({
    max: KEY_CACHE_SIZE,
    ttl: KEY_CACHE_TTL_MS,
    allowStaleOnFetchRejection: true,
    noDeleteOnFetchRejection: true,
    fetchMethod: async (hash) => {
      const found = await postgres.withSystem((tx) => findKeyByHash(tx, hash))
      if (!found) return { principal: null }
      const { isFrozen, frozenReason } = found
      return {
        principal: toPrincipal(found),
        isAllowedFrom: compileAllowedIps(found.key.allowedIps),
        isFrozen,
        frozenReason,
      }
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
    assertMayGive,

    /**
     * Resolves a write key or an API key to its principal; throws 401 for every key that does not act, without saying why, 503 for one
     * that cannot be looked up (a client gives up after a 401 and comes back after a 503), and 403 for one that acts, but not from here,
     * or not while its organization is frozen.
     */
    async authenticateKey(text: string, ip: string): Promise<Principal> {
      const knownHash = hashes.get(text)
      if (!knownHash && !isWellFormedKey(text)) throw noSuchKey()
      const hash = knownHash ?? hashKey(text)
      const known = await keys.fetch(hash)
      if (!known) throw unavailable('The key cannot be checked right now. Send the same request again in a moment.')
      const nowMs = Date.now()
      if (!known.principal || known.principal.expiresAtMs <= nowMs) throw noSuchKey()
      if (!known.isAllowedFrom(ip)) throw ipNotAllowed(`The key may not be used from ${ip}.`)
      if (known.isFrozen) throw frozenBecause(known.frozenReason)
      if (!knownHash) hashes.set(text, hash)
      noteUse(known.principal, nowMs)
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
      return toProject(row, (await retentionOf(organizationId)).maxDays)
    },

    async ipPolicyOf({ organizationId, projectId }: ProjectScope): Promise<ProjectSettings['ipPolicy']> {
      const row = await postgres.withTenant(organizationId, (tx) => findProject(tx, projectId))
      if (!row) throw noSuchProject()
      return row.ipPolicy
    },

    /** Changes a project. Every process acts on it within a second normally, five at the most; this one at once. */
    async changeProject(scope: ProjectScope, input: ProjectChange, by: Acting): Promise<Project> {
      const { organizationId, projectId } = scope
      const change = readSettings(input)
      const { maxDays, assertAllows } = await retentionOf(organizationId)
      assertAllows(change.retentionDays)
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
      return toProject(row, maxDays)
    },

    /** Drops what this process remembers of the keys of an organization. */
    forgetOrganization: (organizationId: string): void =>
      forget((principal) => principal.organizationId === organizationId),

    /** Drops what this process remembers of the keys of a project, and with them of its settings. */
    forgetProject: (projectId: string): void => forget((principal) => principal.projectId === projectId),
  }
}

/** A new key, or the successor of one, whose end is a time already. */
type KeyToIssue = Omit<NewKey, 'scopes' | 'expiresAt'> & {
  scopes?: readonly string[]
  expiresAt?: string | Date | null
}

/** Makes a key inside a transaction of the caller's. */
export async function issueKey(
  tx: TenantTx | SystemTx,
  scope: ProjectScope,
  input: KeyToIssue,
): Promise<Key & { key: string }> {
  const key = generateKey(input.kind)
  const row = await insertKey(tx, {
    id: newId('key'),
    ...scope,
    name: input.name,
    kind: input.kind,
    hash: hashKey(key),
    hint: keyHint(key),
    scopes: [...scopesOf(input)],
    allowedIps: readAllowedIps(input.allowedIps ?? []),
    requestsPerMinute: input.requestsPerMinute ?? null,
    expiresAt: input.expiresAt instanceof Date ? input.expiresAt : readExpiry(input.expiresAt),
  })
  return { ...toKey(row), key }
}

function scopesOf({ kind, scopes }: Pick<KeyToIssue, 'kind' | 'scopes'>): readonly Permission[] {
  if (kind === 'write') return ['events:write']
  if (!scopes) throw invalidField('/scopes', 'An api key needs its scopes.')
  return scopes as readonly Permission[]
}

/** The start page's own credential watches one project and does nothing else. */
function viewerPermissions(own: string, asked: string): readonly Permission[] | undefined {
  return own === asked ? ['query:read'] : undefined
}

const noSuchKey = () => challenge('The key is not known, has expired or was revoked.')
const noSuchProject = () => projectNotFound('There is no such project.')
