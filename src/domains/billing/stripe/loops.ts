import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Redis } from 'ioredis'
import { inTurn, oncePer } from '../../../infra/turns.ts'

interface LoopsOptions {
  /** Works off some of what is due; resolves to how much that was. */
  step: () => Promise<number>
  sweep: () => Promise<{ events: number; subscriptions: number }>
  /** Tells Stripe what was used. */
  push: () => Promise<void>
  redis: Redis
  log: FastifyBaseLogger
}

const IDLE_MS = 250
const FAILURE_PAUSE_MS = 2000
/** Several times within the three days that it looks back, since one may fail. */
const SWEEP_INTERVAL_MS = 6 * 3_600_000
const SWEEP_POLL_MS = 60_000
const PUSH_INTERVAL_MS = 60_000

/** The loops behind Stripe. Any number of processes may run them, and any may die: leases in the database keep them apart. */
export function createStripeLoops({ step, sweep, push, redis, log }: LoopsOptions) {
  const stopping = new AbortController()
  const running: Promise<void>[] = []

  async function processing(): Promise<number> {
    return (await step()) > 0 ? 0 : IDLE_MS
  }

  async function sweeping(): Promise<number> {
    await oncePer(redis, 'stripe:sweep', SWEEP_INTERVAL_MS, async () => {
      const found = await sweep()
      if (found.events + found.subscriptions > 0) log.warn(found, 'Stripe had more to tell than it had told')
    })
    return SWEEP_POLL_MS
  }

  async function pushing(): Promise<number> {
    await inTurn(redis, 'stripe:usage', PUSH_INTERVAL_MS, push)
    return PUSH_INTERVAL_MS
  }

  /** `work` resolves to how long to rest before it is done again. */
  async function repeat(what: string, work: () => Promise<number>): Promise<void> {
    while (!stopping.signal.aborted) {
      const pauseMs = await work().catch((error) => {
        log.error({ err: error }, `${what} failed and will begin again`)
        return FAILURE_PAUSE_MS
      })
      if (pauseMs > 0) await delay(pauseMs, undefined, { signal: stopping.signal }).catch(ignoreAbort)
    }
  }

  return {
    start() {
      running.push(
        repeat('the processing of Stripe events', processing),
        repeat('the sweep at Stripe', sweeping),
        repeat('the push of usage to Stripe', pushing),
      )
    },
    async stop() {
      stopping.abort()
      await Promise.all(running)
    },
  }
}

function ignoreAbort(): void {
  // The loop's own condition ends it.
}
