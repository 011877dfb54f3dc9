import type { Permission, Principal, ProjectScope } from '../../../http/access.ts'
import type { Acting } from '../../../http/acting.ts'
import { append } from '../../../infra/outbox.ts'
import type { Postgres, TenantTx } from '../../../infra/postgres.ts'
import { record } from '../../audit/index.ts'
import { readAllowedIps } from '../allowed-ips.ts'
import { differencesOf } from '../differences.ts'
import { keyExpired, keyNotFound } from '../errors.ts'
import { KEY_CHANGED, KEY_REVOKED } from '../fact-kinds.ts'
import { readExpiry, toFacts, toKey } from '../key.ts'
import type { Key, KeyChange, KeyRotation } from '../schemas.ts'
import { findKey, type KeyRow, lockKey, updateKey } from '../store.ts'

export type KeyChangesService = ReturnType<typeof createKeyChangesService>

interface Dependencies {
  postgres: Postgres
  projects: {
    assertMayGive: (organizationId: string, giver: Principal, scopes: readonly Permission[]) => Promise<void>
    /** Drops what this process remembers of a key. */
    forgetKey: (keyId: string) => void
  }
  issueKey: (tx: TenantTx, scope: ProjectScope, key: Successor) => Promise<Key & { key: string }>
}

type Successor = ReturnType<typeof successorOf>

/**
 * Changes to a key that acts. Whoever makes one must be able to give all that the key may do: or somebody could prolong, or take over,
 * a key that may do more than they may.
 */
export function createKeyChangesService({ postgres, projects, issueKey }: Dependencies) {
  async function assertMayChange({ organizationId, projectId }: ProjectScope, keyId: string, by: Acting) {
    const key = await postgres.withTenant(organizationId, (tx) => findKey(tx, projectId, keyId))
    if (!key) throw noSuchKey()
    await projects.assertMayGive(organizationId, by.principal, key.scopes as Permission[])
  }

  return {
    /** Every process acts on the change within a second normally, five at the most; this one at once. */
    async changeKey(scope: ProjectScope, keyId: string, input: KeyChange, by: Acting): Promise<Key> {
      const { organizationId, projectId } = scope
      const { allowedIps, expiresAt, ...others } = input
      const change = {
        ...others,
        ...(allowedIps && { allowedIps: readAllowedIps(allowedIps) }),
        ...(expiresAt !== undefined && { expiresAt: readExpiry(expiresAt) }),
      }
      await assertMayChange(scope, keyId, by)
      const row = await postgres.withTenant(organizationId, async (tx) => {
        const before = await lockActingKey(tx, projectId, keyId)
        const changed = await updateKey(tx, keyId, change)
        await append(tx, { organizationId, kind: KEY_CHANGED, payload: { keyId, projectId } })
        const differences = differencesOf(before, changed, Object.keys(change) as (keyof KeyRow)[])
        const target = { kind: 'api_key', id: keyId }
        if (differences) await record(tx, { ...scope, by, action: 'api_key.changed', target, ...differences })
        return changed
      })
      projects.forgetKey(keyId)
      return toKey(row)
    },

    /** Makes a key that may do the same and gives the old one an end, at once or after an overlap, in one step. */
    async rotateKey(
      scope: ProjectScope,
      keyId: string,
      input: KeyRotation,
      by: Acting,
    ): Promise<Key & { key: string }> {
      const { organizationId, projectId } = scope
      await assertMayChange(scope, keyId, by)
      const made = await postgres.withTenant(organizationId, async (tx) => {
        const old = await lockActingKey(tx, projectId, keyId)
        const made = await issueKey(tx, scope, successorOf(old))
        const ended = await updateKey(tx, keyId, endOf(old, input.overlapSeconds))
        const kind = ended.revokedAt ? KEY_REVOKED : KEY_CHANGED
        await append(tx, { organizationId, kind, payload: { keyId, projectId } })
        const entry = { ...scope, by }
        const before = toFacts(toKey(old))
        const after = { ...toFacts(toKey(ended)), successorId: made.id, overlapSeconds: input.overlapSeconds }
        const [target, successor] = [keyId, made.id].map((id) => ({ kind: 'api_key', id })) as [Target, Target]
        await record(tx, { ...entry, action: 'api_key.made', target: successor, after: toFacts(made) })
        await record(tx, { ...entry, action: 'api_key.rotated', target, before, after })
        return made
      })
      projects.forgetKey(keyId)
      return made
    },
  }
}

interface Target {
  kind: string
  id: string
}

async function lockActingKey(tx: TenantTx, projectId: string, keyId: string): Promise<KeyRow> {
  const key = await lockKey(tx, projectId, keyId)
  if (!key) throw noSuchKey()
  if (key.expiresAt && key.expiresAt.getTime() <= Date.now()) {
    throw keyExpired('A key that has expired stays so. Make a new one.')
  }
  return key
}

const successorOf = ({ name, kind, scopes, allowedIps, requestsPerMinute, expiresAt }: KeyRow) => ({
  name,
  kind,
  scopes,
  allowedIps,
  requestsPerMinute,
  expiresAt,
})

/** A key that ends sooner than the overlap keeps its own end. */
function endOf({ expiresAt }: KeyRow, overlapSeconds: number): { revokedAt: Date } | { expiresAt: Date } {
  if (overlapSeconds === 0) return { revokedAt: new Date() }
  const end = Date.now() + overlapSeconds * 1000
  return { expiresAt: new Date(Math.min(end, expiresAt?.getTime() ?? end)) }
}

const noSuchKey = () => keyNotFound('There is no such key in this project.')
