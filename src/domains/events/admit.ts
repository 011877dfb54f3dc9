import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import type { ProjectScope } from '../../http/access.ts'
import { bufferKeys, type Lane, shardOf } from './buffer.ts'
import { bufferUnavailable } from './errors.ts'
import { createGroups } from './group-commit.ts'
import { joinPacked, type PackedEvents } from './pack.ts'

/** `new`: remembered, queued and counted, all on disk. `conflict`: a duplicate whose content differs from the first copy. */
export type Verdict = 'new' | 'duplicate' | 'conflict'

export interface Admission {
  /** One verdict per event, or null when the organization is over its burst limit and nothing was taken. */
  verdicts: Verdict[] | null
  burst: { remaining: number; resetMs: number }
}

interface AdmitOptions {
  redis: Redis
  shards: number
  deduplicationWindowMs: number
  eventsPerSecond: number
}

const SCRIPT = readFileSync(new URL('admit.lua', import.meta.url), 'utf8')
const COUNTER_TTL_SECONDS = 400 * 86_400
const GROUP_EVENTS_MAX = 2000
const GROUP_BYTES_MAX = 1024 * 1024

type AdmitCommand = (...args: (string | number | Buffer)[]) => Promise<[Buffer, number, number]>

/**
 * Admission promises: when it resolves, every event that it calls new is on disk in the buffer together with the mark that
 * recognizes its copies. When it rejects nothing is known, and sending the request again is always safe. Requests of one project
 * that are there at the same time share a script and an fsync; each is still taken or refused as a whole.
 */
export function createAdmission({ redis, shards, deduplicationWindowMs, eventsPerSecond }: AdmitOptions) {
  redis.defineCommand('admit', { numberOfKeys: 4, lua: SCRIPT })
  const admit = (redis as unknown as { admitBuffer: AdmitCommand }).admitBuffer.bind(redis)

  async function admitGroup(
    scope: ProjectScope,
    lane: Lane,
    month: string,
    requests: PackedEvents[],
  ): Promise<Admission[]> {
    const { organizationId, projectId } = scope
    const keys = bufferKeys(shardOf(organizationId, shards), lane)
    const { rows, marks, hours } = joinPacked(requests)
    try {
      const [verdict, remaining, resetMs] = await admit(
        keys.stream,
        `${keys.marks}${projectId}:`,
        keys.burst + organizationId,
        keys.accepted + month,
        deduplicationWindowMs,
        eventsPerSecond,
        organizationId,
        projectId,
        requests.map(({ ids }) => ids.length).join(','),
        marks,
        rows,
        hours.join(','),
        COUNTER_TTL_SECONDS,
      )
      return answersOf(requests, verdict.toString('latin1'), { remaining, resetMs })
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

  return (scope: ProjectScope, lane: Lane, events: PackedEvents): Promise<Admission> =>
    groups.add(`${lane}\n${scope.projectId}\n${events.month}`, events, (requests) =>
      admitGroup(scope, lane, events.month, requests),
    )
}
export type Admit = ReturnType<typeof createAdmission>

function answersOf(requests: PackedEvents[], letters: string, burst: Admission['burst']): Admission[] {
  let at = 0
  return requests.map(({ ids }) => {
    const start = at
    at += ids.length
    if (letters[start] === 'x') return { verdicts: null, burst: { ...burst, remaining: 0 } }
    return { verdicts: ids.map((_, index) => verdictOf(letters.charCodeAt(start + index))), burst }
  })
}

const verdictOf = (letter: number): Verdict => (letter === 49 ? 'new' : letter === 48 ? 'duplicate' : 'conflict')
