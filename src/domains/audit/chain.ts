import { hash } from 'node:crypto'

/** What the first entry of an organization names as the one before it. */
export const GENESIS = '0'.repeat(64)

/** All that an entry says, its place in the chain included and its own hash excepted. */
export interface Sealed {
  organizationId: string
  sequence: number
  id: string
  at: Date
  projectId: string | null
  actorKind: string
  actorId: string
  actorName: string | null
  action: string
  targetKind: string
  targetId: string
  ip: string | null
  userAgent: string | null
  before: Record<string, unknown> | null
  after: Record<string, unknown> | null
  previousHash: string
}

/**
 * SHA-256 over the canonical form of an entry: a JSON array of its fields in a fixed order, the names of objects sorted, since the
 * database keeps no order of them. The form has a number, so that a later one can be told from it; no entry is ever sealed anew.
 */
export function sealOf(entry: Sealed): string {
  const canonical = [
    'audit.1',
    entry.organizationId,
    entry.sequence,
    entry.id,
    entry.at.toISOString(),
    entry.projectId,
    entry.actorKind,
    entry.actorId,
    entry.actorName,
    entry.action,
    entry.targetKind,
    entry.targetId,
    entry.ip,
    entry.userAgent,
    sorted(entry.before),
    sorted(entry.after),
    entry.previousHash,
  ]
  return hash('sha256', JSON.stringify(canonical), 'hex')
}

/** Arrays of pairs in place of objects, which would bring names that look like numbers into an order of their own. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  const pairs = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1))
  return { object: pairs.map(([name, inner]) => [name, sorted(inner)]) }
}
