import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { Redis } from 'ioredis'
import type { Config } from '../../../config.ts'
import { inTurn, oncePer } from '../../../infra/turns.ts'
import {
  createQuotas,
  type KnownQuotas,
  type QuotaPolicy,
  type QuotaState,
  type Quotas,
  type ReplayDoor,
  shardProgress,
} from '../../events/index.ts'
import { createHeldRelease, type HeldRelease, organizationsHeld } from '../../quarantine/index.ts'
import { QUOTA_POLICY_CHANGED } from '../fact-kinds.ts'
import { isHoldingBack } from './fullness.ts'
import { createRecount } from './recount.ts'
import { createQuotaService, type QuotaService } from './service.ts'
import { createTransitions } from './transitions/service.ts'

interface JobsOptions {
  quotas: Quotas
  service: QuotaService
  settle: (organizationId: string, quota: QuotaState) => Promise<void>
  release: HeldRelease
  organizationsHeld: () => Promise<string[]>
  redis: Redis
  shards: number
  log: FastifyBaseLogger
}

const WATCH_INTERVAL_MS = 500
const SWEEP_INTERVAL_MS = 3_600_000
/** Processes that start together sweep once. */
const SWEEP_TURN_MS = 60_000
const TURN_MS = 30_000
const PAGE = 500
const FAULT_PAUSE_MS = 5000

/** The loops behind quotas. Any number of processes may run them; one at a time does the work of a shard. */
export function createQuotaJobs(options: JobsOptions) {
  const { quotas, service, settle, release, organizationsHeld, redis, shards, log } = options
  const stopping = new AbortController()
  const { signal } = stopping
  const running: Promise<void>[] = []
  /** Organizations that are held back, as they were when they were last looked at. */
  const settled = new Map<string, string>()
  /** Until when those are left alone that could not be seen to. */
  const faulty = new Map<string, number>()

  /** Marks are taken away when there is nothing to wait for: an organization that is held back is watched until it is not. */
  async function watchChanges(shard: number): Promise<void> {
    for (const [organizationId, revision] of await quotas.marked(shard, 'quotaChanged')) {
      if (signal.aborted) return
      const quota = await quotas.read(organizationId)
      const state = `${revision} ${quota?.period?.startsAtMs} ${quota !== null && isHoldingBack(quota)}`
      if (settled.get(organizationId) === state) continue
      await each(organizationId, async () => {
        const isThere = await service.apply(organizationId)
        const now = await quotas.read(organizationId)
        if (isThere && now) await settle(organizationId, now)
        if (isThere && now && isHoldingBack(now)) return void settled.set(organizationId, state)
        settled.delete(organizationId)
        await quotas.settle('quotaChanged', organizationId, revision)
      })
    }
  }

  /** One organization's fault is not the others': it stays marked, or waits for the next sweep. */
  async function each(organizationId: string, work: () => Promise<void>): Promise<void> {
    if ((faulty.get(organizationId) ?? 0) > Date.now()) return
    try {
      await work()
      faulty.delete(organizationId)
    } catch (error) {
      faulty.set(organizationId, Date.now() + FAULT_PAUSE_MS)
      if (!signal.aborted) log.error({ err: error, organizationId }, 'the quota of an organization was not seen to')
    }
  }

  async function releaseHeld(shard: number): Promise<void> {
    for (const [organizationId, revision] of await quotas.marked(shard, 'quotaHeld')) {
      if (signal.aborted) return
      const quota = await quotas.read(organizationId)
      if (quota && (quota.stopped !== '' || isHoldingBack(quota))) continue
      await each(organizationId, async () => {
        // Asked before it is looked, so that what is held since is seen the next time.
        const storedThroughMs = (await shardProgress(redis, shard, 'quarantine')).getTime()
        const { events, isFull } = await release(organizationId)
        if (events > 0) log.info({ organizationId, events }, 'events that the quota held were taken in')
        if (!isFull && storedThroughMs > Number(revision) / 1000)
          await quotas.settle('quotaHeld', organizationId, revision)
      })
    }
  }

  async function watch(): Promise<void> {
    for (let shard = 0; shard < shards && !signal.aborted; shard++) {
      await inTurn(redis, `quota:changes:${shard}`, TURN_MS, () => watchChanges(shard))
      await inTurn(redis, `quota:held:${shard}`, TURN_MS, () => releaseHeld(shard))
    }
  }

  /** Everything anew, from what does not depend on the door: policies, counters, and what is held. */
  async function sweep(): Promise<void> {
    await oncePer(redis, 'quota:sweep', SWEEP_TURN_MS, async () => {
      await quotas.mark('quotaHeld', await organizationsHeld())
      for (let after = ''; !signal.aborted; ) {
        const ids = await service.organizationsAfter(after, PAGE)
        for (const organizationId of ids) {
          if (signal.aborted) return
          await each(organizationId, async () => {
            if (await service.apply(organizationId)) await service.compare(organizationId)
          })
        }
        const last = ids.at(-1)
        if (last === undefined || ids.length < PAGE) return
        after = last
      }
    })
  }

  async function repeat(what: string, work: () => Promise<void>, intervalMs: number): Promise<void> {
    while (!signal.aborted) {
      try {
        await work()
      } catch (error) {
        if (signal.aborted) return
        log.error({ err: error }, `${what} failed and will begin again`)
      }
      await delay(intervalMs, undefined, { signal }).catch(ignoreAbort)
    }
  }

  return {
    start() {
      running.push(
        repeat('the watching of quotas', watch, WATCH_INTERVAL_MS),
        repeat('the comparison of quotas', sweep, SWEEP_INTERVAL_MS),
      )
    },
    /** Waits for the step under way; whatever is left stays marked. */
    async stop() {
      stopping.abort()
      await Promise.all(running)
    },
  }
}

function ignoreAbort(): void {
  // The loop's own condition ends it.
}

interface QuotaOptions {
  config: Config
  known: KnownQuotas
  policyOf: (organizationId: string) => Promise<QuotaPolicy>
}

/** The quotas as this process brings them to the door: whenever a fact says that one has changed, or the door misses one. */
export function openQuotas(app: FastifyInstance, { config, known, policyOf }: QuotaOptions): QuotaService {
  const { ingestRedis: redis, clickhouse, postgres, metrics, log } = app
  const { shards } = config.ingest
  const stopping = new AbortController()
  const quotas = createQuotas({ redis, shards })
  const recount = createRecount({ quotas, redis, shards, clickhouse, signal: stopping.signal })
  const service = createQuotaService({
    postgres,
    quotas,
    policyOf,
    recount,
    known,
    metrics,
    onDrift: (organizationId, difference) =>
      log.warn({ organizationId, difference }, 'the quota of an organization was counted wrong and is corrected'),
    onFault: (organizationId, err) =>
      log.warn({ err, organizationId }, 'the quota of an organization was not brought to the door'),
  })
  app.facts.on(QUOTA_POLICY_CHANGED, ({ organizationId }) => service.applyLater(organizationId))
  app.addHook('preClose', async () => {
    stopping.abort()
    await service.stop()
  })
  return service
}

interface QuotaJobsOptions {
  config: Config
  service: QuotaService
  /** Takes in what was held, without holding it against a tracking plan again. */
  door: ReplayDoor
}

/** What keeps quotas right in the background, tells of their changes and takes in what they held. */
export const quotaJobs: FastifyPluginAsync<QuotaJobsOptions> = async (app, { config, service, door }) => {
  const { ingestRedis: redis, clickhouse, postgres, log } = app
  const { shards } = config.ingest
  const jobs = createQuotaJobs({
    quotas: createQuotas({ redis, shards }),
    service,
    settle: createTransitions({ postgres, clock: () => new Date() }),
    release: createHeldRelease({ clickhouse, door }),
    organizationsHeld: () => organizationsHeld(clickhouse),
    redis,
    shards,
    log,
  })
  app.addHook('onReady', async () => jobs.start())
  app.addHook('preClose', () => jobs.stop())
}
