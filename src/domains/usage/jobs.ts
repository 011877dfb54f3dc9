import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Redis } from 'ioredis'
import type { Metrics } from '../../infra/metrics.ts'
import { inTurn, oncePer } from '../../infra/turns.ts'
import type { UsageService } from './service.ts'

interface JobsOptions {
  usage: UsageService
  redis: Redis
  shards: number
  metrics: Metrics
  log: FastifyBaseLogger
}

const RECOUNT_INTERVAL_MS = 250
const COMPLETE_INTERVAL_MS = 60_000
const RECONCILE_INTERVAL_MS = 900_000
/** A start is busy enough, and what it left behind is mostly stored by then. */
const RECONCILE_DELAY_MS = 60_000
const FAILURE_PAUSE_MS = 2000
const TURN_MS = 10_000
const RETENTION_INTERVAL_MS = 3_600_000
const RETENTION_DELAY_MS = 300_000
const RETENTION_TURN_MS = 1_800_000
/** This month and the last are compared each time, and of the months before one after the other. */
const OLDER_MONTHS = 12

/** The loops behind usage windows. Any number of processes may run them; one at a time does the work of a shard. */
export function createUsageJobs({ usage, redis, shards, metrics, log }: JobsOptions) {
  const stopping = new AbortController()
  const running: Promise<void>[] = []
  let reconciliations = 0

  async function recount(): Promise<void> {
    for (let shard = 0; shard < shards && !stopping.signal.aborted; shard++) {
      const lagMs = await usage.lagMs(shard)
      metrics.usageLag.set({ shard }, (lagMs ?? 0) / 1000)
      if (lagMs !== undefined) await inTurn(redis, `usage:${shard}`, TURN_MS, () => usage.recountOldest(shard))
    }
  }

  async function complete(): Promise<void> {
    await inTurn(redis, 'usage:complete', TURN_MS, () => usage.completeWindows())
  }

  async function reconcile(): Promise<void> {
    await oncePer(redis, 'usage:reconcile', RECONCILE_INTERVAL_MS - RECONCILE_DELAY_MS, async () => {
      const older = 2 + (reconciliations++ % OLDER_MONTHS)
      const sums = { accepted_not_stored: 0, stored_not_accepted: 0, windows: 0 }
      for (const back of [0, 1, older]) {
        const difference = await usage.reconcile(monthOf(Date.now(), back), stopping.signal)
        // Behind: the figures of the last time stay.
        if (!difference) return
        sums.accepted_not_stored += difference.acceptedNotStored
        sums.stored_not_accepted += difference.storedNotAccepted
        sums.windows += difference.windows
      }
      for (const [check, events] of Object.entries(sums)) metrics.unreconciled.set({ check }, events)
      if (sums.stored_not_accepted + sums.windows > 0) log.warn(sums, 'door, event store and usage windows disagree')
    })
  }

  async function retain(): Promise<void> {
    await inTurn(redis, 'usage:retention', RETENTION_TURN_MS, () => usage.eraseDue(stopping.signal))
  }

  async function repeat(what: string, work: () => Promise<void>, intervalMs: number, delayMs = 0): Promise<void> {
    await pause(delayMs)
    while (!stopping.signal.aborted) {
      let pauseMs = intervalMs
      try {
        await work()
      } catch (error) {
        if (stopping.signal.aborted) return
        log.error({ err: error }, `${what} failed and will begin again`)
        pauseMs = Math.max(intervalMs, FAILURE_PAUSE_MS)
      }
      await pause(pauseMs)
    }
  }

  const pause = (ms: number) => delay(ms, undefined, { signal: stopping.signal }).catch(ignoreAbort)

  return {
    start() {
      running.push(
        repeat('the counting of usage', recount, RECOUNT_INTERVAL_MS),
        repeat('the completion of usage windows', complete, COMPLETE_INTERVAL_MS),
        repeat('the reconciliation of usage', reconcile, RECONCILE_INTERVAL_MS, RECONCILE_DELAY_MS),
        repeat('the erasing of old events', retain, RETENTION_INTERVAL_MS, RETENTION_DELAY_MS),
      )
    },
    /** Waits for the count under way. What is not counted stays marked. */
    async stop() {
      stopping.abort()
      await Promise.all(running)
    },
  }
}

/** The calendar month in UTC some months back, as `2026-01`. */
function monthOf(nowMs: number, back: number): string {
  const now = new Date(nowMs)
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back)).toISOString().slice(0, 7)
}

function ignoreAbort(): void {
  // The loop's own condition ends it.
}
