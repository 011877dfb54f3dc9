import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import type { ProjectScope } from '../../http/access.ts'
import { bufferKeys, shardOf } from './buffer.ts'
import type { CapturedEvent } from './capture.ts'
import { bufferUnavailable } from './errors.ts'

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
const VERDICTS: Record<string, Verdict> = { '1': 'new', '0': 'duplicate', c: 'conflict' }
const COUNTER_TTL_SECONDS = 400 * 86_400

type AdmitCommand = (...args: (string | number | Buffer)[]) => Promise<[Buffer, number, number]>

/**
 * Admission promises: when it resolves, every event that it calls new is on disk in the buffer together with the mark that
 * recognizes its copies. When it rejects nothing is known, and sending the request again is always safe.
 */
export function createAdmission({ redis, shards, deduplicationWindowMs, eventsPerSecond }: AdmitOptions) {
  redis.defineCommand('admit', { numberOfKeys: 4, lua: SCRIPT })
  const admit = (redis as unknown as { admitBuffer: AdmitCommand }).admitBuffer.bind(redis)

  return async (
    { organizationId, projectId }: ProjectScope,
    events: CapturedEvent[],
    nowMs: number,
  ): Promise<Admission> => {
    const keys = bufferKeys(shardOf(organizationId, shards))
    const accepted = keys.accepted + new Date(nowMs).toISOString().slice(0, 7)
    try {
      const [verdict, remaining, resetMs] = await admit(
        keys.stream,
        keys.marks,
        keys.burst + organizationId,
        accepted,
        deduplicationWindowMs,
        eventsPerSecond,
        organizationId,
        projectId,
        Buffer.concat(events.map((event) => event.mark)),
        events.map((event) => event.line).join('\n'),
        COUNTER_TTL_SECONDS,
      )
      const verdicts =
        verdict.length === 0 ? null : Array.from(verdict.toString('latin1'), (letter) => VERDICTS[letter] ?? 'new')
      return { verdicts, burst: { remaining, resetMs } }
    } catch (error) {
      throw bufferUnavailable('The event buffer does not answer. Send the same request again in a moment.', {
        cause: error,
      })
    }
  }
}
