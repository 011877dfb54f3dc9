import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import type { ProjectScope } from '../../http/access.ts'
import { bufferKeys, type Lane, shardOf } from './buffer.ts'
import { bufferUnavailable } from './errors.ts'
import { createGroups } from './group-commit.ts'
import { joinPacked, type PackedEvents } from './pack.ts'
import { type QuotaState, quotaStateOf, withQuotaLua } from './quota-state.ts'

/**
 * `new`: remembered, queued and counted, all on disk. `conflict`: a duplicate whose content differs from the first copy. The others are
 * what the quota does to news, of which nothing is remembered: refused, to be kept elsewhere, or left out of a sample.
 */
export type Verdict = 'new' | 'duplicate' | 'conflict' | 'refused' | 'held' | 'sampledOut'

export interface Admission {
  /** One verdict per event, or null when the organization is over its burst limit and nothing was taken. */
  verdicts: Verdict[] | null
  burst: { limit: number; remaining: number; resetMs: number }
  /** The quota afterwards; null while nothing is known of it, and nothing is limited. */
  quota: QuotaState | null
}

interface AdmitOptions {
  redis: Redis
  shards: number
  deduplicationWindowMs: number
  eventsPerSecond: number
}

const SCRIPT = withQuotaLua(readFileSync(new URL('admit.lua', import.meta.url), 'utf8'))
const COUNTER_TTL_SECONDS = 400 * 86_400
/** What the events are to the quota. */
type Use = 'counted' | 'held' | 'apart'

const GROUP_EVENTS_MAX = 2000
const GROUP_BYTES_MAX = 1024 * 1024

type AdmitCommand = (...args: (string | number | Buffer)[]) => Promise<[Buffer, number, number, number, Buffer]>

/**
 * Admission promises: when it resolves, every event that it calls new is on disk in the buffer together with the mark that
 * recognizes its copies. When it rejects nothing is known, and sending the request again is always safe. Requests of one project
 * that are there at the same time share a script and an fsync; each is still taken or refused as a whole.
 */
export function createAdmission({ redis, shards, deduplicationWindowMs, eventsPerSecond }: AdmitOptions) {
  redis.defineCommand('admit', { numberOfKeys: 7, lua: SCRIPT })
  const admit = (redis as unknown as { admitBuffer: AdmitCommand }).admitBuffer.bind(redis)

  async function admitGroup(
    scope: ProjectScope,
    lane: Lane,
    month: string,
    requests: PackedEvents[],
    use: Use,
  ): Promise<Admission[]> {
    const { organizationId, projectId } = scope
    const keys = bufferKeys(shardOf(organizationId, shards), lane)
    const { rows, marks, hours } = joinPacked(requests)
    try {
      const [verdict, remaining, resetMs, limit, quota] = await admit(
        keys.stream,
        `${keys.marks}${projectId}:`,
        keys.burst + organizationId,
        keys.accepted + month,
        keys.quota + organizationId,
        keys.quotaChanged,
        keys.quotaHeld,
        deduplicationWindowMs,
        eventsPerSecond,
        organizationId,
        projectId,
        requests.map(({ ids }) => ids.length).join(','),
        marks,
        rows,
        hours.join(','),
        COUNTER_TTL_SECONDS,
        use,
      )
      const shared = { burst: { limit, remaining, resetMs }, quota: quotaStateOf(quota.toString()) }
      return answersOf(requests, verdict.toString('latin1'), shared)
    } catch (error) {
      throw bufferUnavailable('The event buffer does not answer. Send the same request again in a moment.', {
        cause: error,
      })
    }
  }

  const groups = createGroups<PackedEvents, Admission>({
    weightMax: GROUP_EVENTS_MAX,
    bytesMax: GROUP_BYTES_MAX,
    weigh: ({ ids, rows }) => ({ weight: ids.length, bytes: rows.length }),
  })

  /** Events go to the lane `quarantine` for what they are, or because the quota holds them. */
  return (scope: ProjectScope, lane: Lane, events: PackedEvents, isHeld = false): Promise<Admission> => {
    const use = lane !== 'quarantine' ? 'counted' : isHeld ? 'held' : 'apart'
    return groups.add(`${lane}\n${use}\n${scope.projectId}\n${events.month}`, events, (requests) =>
      admitGroup(scope, lane, events.month, requests, use),
    )
  }
}
export type Admit = ReturnType<typeof createAdmission>

function answersOf(requests: PackedEvents[], letters: string, shared: Omit<Admission, 'verdicts'>): Admission[] {
  let at = 0
  return requests.map(({ ids }) => {
    const start = at
    at += ids.length
    if (letters[start] === 'x') return { ...shared, verdicts: null, burst: { ...shared.burst, remaining: 0 } }
    return { ...shared, verdicts: ids.map((_, index) => verdictOf(letters.charCodeAt(start + index))) }
  })
}

const VERDICTS = new Map<number, Verdict>(
  Object.entries({ 0: 'duplicate', c: 'conflict', q: 'refused', h: 'held', s: 'sampledOut' } as const).map(
    ([letter, verdict]) => [letter.charCodeAt(0), verdict],
  ),
)

const verdictOf = (letter: number): Verdict => (letter === 49 ? 'new' : (VERDICTS.get(letter) ?? 'conflict'))
