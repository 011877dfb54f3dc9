import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { oncePer } from '../../../infra/turns.ts'
import { createQuotas } from '../../events/index.ts'
import { createWindowsComparison } from '../../usage/index.ts'
import type { VerifyingService } from '../invoices/verifying/service.ts'
import { createQuotaComparison } from '../quota/recount.ts'
import { CHECKS, type Check, createReconciliationService } from './service.ts'

const DAY_MS = 86_400_000
const INTERVAL_MS = 3_600_000
/** A start is busy enough. */
const DELAY_MS = 5 * 60_000
/** Invoices are computed again for this long; scripts/reconcile.ts does it with all of them. */
const INVOICES_MS = 35 * DAY_MS
const LOGGED_MAX = 20

type Stores = Pick<FastifyInstance, 'postgres' | 'clickhouse' | 'ingestRedis'>
interface Options {
  shards: number
  invoices: Pick<VerifyingService, 'verify'>
}

/** Binds the checks to the stores of a process, or of a script. */
export function openReconciliation(
  { postgres, clickhouse, ingestRedis: redis }: Stores,
  { shards, invoices, signal }: Options & { signal: AbortSignal },
) {
  const shared = { redis, shards, clickhouse, signal }
  return createReconciliationService({
    postgres,
    compareDoor: createQuotaComparison({ ...shared, quotas: createQuotas({ redis, shards }) }),
    compareWindows: createWindowsComparison({ ...shared, postgres }),
    verifyInvoice: invoices.verify,
  })
}

/** Looks through all organizations, one after the other, and says in metrics and log what disagrees. */
export const reconciliationJobs: FastifyPluginAsync<Options> = async (app, options) => {
  const stopping = new AbortController()
  const { signal } = stopping
  const { reconcile, organizations } = openReconciliation(app, { ...options, signal })

  async function lookThrough(): Promise<void> {
    const sums: Record<Check, number> = { door: 0, windows: 0, invoices: 0, stripe: 0 }
    let logged = 0
    for await (const organizationId of organizations()) {
      if (signal.aborted) return
      for (const drift of await reconcile(organizationId, new Date(Date.now() - INVOICES_MS))) {
        sums[drift.check] += 1
        if (logged++ < LOGGED_MAX) app.log.warn(drift, 'two counts of usage disagree')
      }
    }
    for (const check of CHECKS) app.metrics.billingDrift.set({ check }, sums[check])
  }

  async function repeat(): Promise<void> {
    await pause(DELAY_MS)
    while (!signal.aborted) {
      await oncePer(app.redis, 'billing:reconcile', INTERVAL_MS - DELAY_MS, lookThrough).catch((error) => {
        if (!signal.aborted) app.log.error({ err: error }, 'the reconciliation of billing failed and will begin again')
      })
      await pause(INTERVAL_MS)
    }
  }
  const pause = (ms: number) =>
    delay(ms, undefined, { signal }).catch(() => {
      // The loop's own condition ends it.
    })

  let running: Promise<void> | undefined
  app.addHook('onReady', async () => {
    running = repeat()
  })
  app.addHook('preClose', async () => {
    stopping.abort()
    await running
  })
}
