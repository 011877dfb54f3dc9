import type { ProjectScope } from '../../http/access.ts'
import type { Metrics } from '../../infra/metrics.ts'
import type { Admission } from './admit.ts'
import type { BufferState } from './buffer-gauge.ts'
import { bufferFull, bufferUnavailable, burstExceeded, overFairShare, overloaded } from './errors.ts'
import type { FairShare } from './fair-share.ts'
import type { KnownQuotas } from './known-quotas.ts'

interface PressureOptions {
  buffer: Readonly<BufferState>
  loopDelayMs: () => number
  fairShare: FairShare
  quotas: KnownQuotas
  metrics: Metrics
}

/** Shares of the buffer's memory from which the door narrows. The last tenth and a half is the sink's. */
export const LADDER = { fair: 0.6, reserve: 0.75, closed: 0.85 } as const
/** Multiples of the fair share: who is above the first waits from 60 %, who is below the second is taken until 85 %. */
const ABOVE_SHARE = 1.2
const SMALL_SHARE = 0.25
const IN_FLIGHT_BYTES_MAX = 256 * 1024 * 1024
const LOOP_DELAY_MAX_MS = 200
const BURSTS_MAX = 10_000

export type Pressure = ReturnType<typeof createPressure>

/**
 * Decides at the door, before a body is read, whether there is room for a request. It promises that the heaviest sender waits first,
 * that whoever waits is told when there should be room, and that the sink keeps memory to work with.
 *
 * Every event may be billed, so there is no lesser kind to refuse before the others: the reserve from 75 % to 85 % belongs to the
 * organizations that send little instead. The memory of the door (the marks) is never shortened to make room: its window is a promise.
 */
export function createPressure({ buffer, loopDelayMs, fairShare, quotas, metrics }: PressureOptions) {
  const bursts = new Map<string, number>()
  let inFlightBytes = 0

  function refuse(reason: string, problem: Error): never {
    metrics.refusals.inc({ reason })
    throw problem
  }

  /** What concerns every organization alike. */
  function checkProcess(bytes: number): void {
    if (!buffer.answers) {
      refuse('buffer_away', bufferUnavailable('The event buffer does not answer.', retryAfter(spread(3))))
    }
    if (inFlightBytes + bytes > IN_FLIGHT_BYTES_MAX) {
      refuse('in_flight', overloaded('Too many bytes are being read at once.', retryAfter(spread(2))))
    }
    if (loopDelayMs() > LOOP_DELAY_MAX_MS) {
      refuse('event_loop', overloaded('The server is behind with its work.', retryAfter(spread(2))))
    }
    if ((buffer.memoryShare ?? 0) >= LADDER.closed) refuseFull()
  }

  function refuseFull(): never {
    refuse('buffer_full', bufferFull('The event buffer is nearly full.', retryAfter(spread(drainSeconds(buffer, 10)))))
  }

  /** What depends on who sends. */
  function checkOrganization(organizationId: string, nowMs: number): void {
    quotas.check(organizationId)
    const burstUntilMs = bursts.get(organizationId)
    if (burstUntilMs !== undefined) {
      if (burstUntilMs > nowMs) refuse('burst', burstProblem(burstUntilMs - nowMs))
      bursts.delete(organizationId)
    }
    const memory = buffer.memoryShare ?? 0
    if (memory < LADDER.fair) return
    const share = fairShare.shareOf(organizationId, nowMs)
    if (memory >= LADDER.reserve && share >= SMALL_SHARE) refuseFull()
    if (share <= ABOVE_SHARE) return
    const detail = 'The event buffer is filling, and the organization sends more than its share.'
    refuse('fair_share', overFairShare(detail, retryAfter(spread(drainSeconds(buffer, 1)))))
  }

  /** Admission found the organization over its burst limit: until the window ends nothing of it is read. */
  function noteBurst(organizationId: string, resetMs: number): void {
    if (bursts.size >= BURSTS_MAX) bursts.clear()
    bursts.set(organizationId, performance.now() + resetMs)
  }

  return {
    /** Throws the Problem with which a request has to wait. `organizationId` may be unknown yet; `bytes` are those of its body. */
    check(organizationId: string | undefined, bytes: number): void {
      checkProcess(bytes)
      if (organizationId !== undefined) checkOrganization(organizationId, performance.now())
    },

    /** The same for a request that was let in when its organization was not known. */
    checkLate(organizationId: string): void {
      checkOrganization(organizationId, performance.now())
    },

    noteBurst,

    /** Wraps admission so that the bursts and the quotas that it finds are known here. */
    noting<Arguments extends [ProjectScope, ...unknown[]]>(admit: (...args: Arguments) => Promise<Admission>) {
      const noted = quotas.noting(admit)
      return async (...args: Arguments): Promise<Admission> => {
        const admission = await noted(...args)
        if (!admission.verdicts) noteBurst(args[0].organizationId, admission.burst.resetMs)
        return admission
      }
    },

    /** The organization's request was taken. */
    noteTaken(organizationId: string, bytes: number): void {
      fairShare.note(organizationId, bytes, performance.now())
    },

    /** Bodies that are being read or worked on; negative when one is done. */
    addInFlight(bytes: number): void {
      inFlightBytes += bytes
    },
    inFlightBytes: () => inFlightBytes,

    /** Whether the memory is so full that what is stored should not stay in it for convenience. */
    isCrowded: () => (buffer.memoryShare ?? 0) >= LADDER.fair,
    /** Rejects while the buffer is so full that nobody's events are taken. */
    async assertOpen(): Promise<void> {
      if ((buffer.memoryShare ?? 0) >= LADDER.closed) throw new Error('the event buffer is nearly full')
    },
  }
}

function burstProblem(resetMs: number) {
  const seconds = Math.max(1, Math.ceil(resetMs / 1000))
  return burstExceeded(
    `The organization sends more events per second than it may. Try again in ${seconds} s.`,
    retryAfter(seconds),
  )
}

const RETRY_SECONDS_MAX = 60
/** Below this the sink is not behind: the memory is held by marks and by the tail, which go by the minute. */
const DRAINED_MS = 1000

/** When the buffer is expected to have room again. */
function drainSeconds({ lagMs, drainMs }: Readonly<BufferState>, min: number): number {
  if (lagMs < DRAINED_MS) return RETRY_SECONDS_MAX
  return Math.min(RETRY_SECONDS_MAX, Math.max(min, drainMs / 1000))
}

/** 30 % up or down, so that those who were refused together do not come back together. */
const spread = (seconds: number) => Math.max(1, Math.round(seconds * (0.7 + Math.random() * 0.6)))

const retryAfter = (seconds: number) => ({ headers: { 'retry-after': String(seconds) } })
