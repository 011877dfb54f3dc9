import { setTimeout as delay } from 'node:timers/promises'
import { createRandom, type Random } from '../clickstream/random.ts'
import { makeBatch, type TrafficBatch } from './batch.ts'
import { type Ledger, openLedger, type SendReason } from './ledger.ts'
import { createSender, type Sender } from './sender.ts'

/**
 * The load, in a process of its own: open loop, so a slow or dead server does not slow it down. What has no final answer is sent
 * again until it has one, as an SDK does; 30 % of what is acknowledged is sent again for nothing: at once, late, or at the same
 * time to another API process.
 */
export interface TrafficPlan {
  run: string
  seed: string
  apis: string[]
  organizations: { writeKey: string }[]
  eventsPerSecond: number
  ledgerPath: string
}

/** What the parent may say. */
export type TrafficOrder =
  | { order: 'start'; plan: TrafficPlan }
  /** Bytes of filler per event. */
  | { order: 'pad'; bytes: number }
  /** Sends so many acknowledged batches once more and reports when all are answered. */
  | { order: 'repeat'; batches: number }
  /** Attempts nothing new; ends when everything has a final answer. */
  | { order: 'finish' }

export interface TrafficNews {
  kind: 'news' | 'repeated' | 'finished'
  attempted: number
  acknowledged: number
  skipped: number
  answers: Record<string, number>
  refusalsWithoutRetryAfter: number
}

const RESEND_SHARE = 0.3
const LATE_MS = [2000, 15_000] as const
const NEWS_INTERVAL_MS = 100
const BACKOFF_MIN_MS = 100
const BACKOFF_MAX_MS = 2000
/** Batches that may be without an answer at a time; past it an attempt is skipped and counted. */
const IN_FLIGHT_MAX = 2000
const REMEMBERED_MAX = 2000

process.once('message', async (message: TrafficOrder) => {
  if (message.order !== 'start') throw new Error('the first order is to start')
  const { plan } = message
  const ledger = await openLedger(plan.ledgerPath)
  const traffic = createTraffic(plan, ledger, createSender(plan, ledger), createRandom(`${plan.seed} traffic`))
  process.on('message', traffic.obey)
  setInterval(() => traffic.say('news'), NEWS_INTERVAL_MS)
  await traffic.run()
})
process.once('disconnect', () => process.exit(1))

function createTraffic(plan: TrafficPlan, ledger: Ledger, send: Sender, random: Random) {
  const { apis, organizations, eventsPerSecond, run: name } = plan
  const counts = { attempted: 0, acknowledged: 0, skipped: 0 }
  const remembered: TrafficBatch[] = []
  const busy = new Set<Promise<void>>()
  const finishing = new AbortController()
  let padBytes = 0

  const say = (kind: TrafficNews['kind']) =>
    process.send?.({
      ...counts,
      kind,
      answers: send.answers,
      refusalsWithoutRetryAfter: send.refusalsWithoutRetryAfter(),
    })
  const track = (work: Promise<void>) => {
    busy.add(work)
    void work.finally(() => busy.delete(work))
  }
  const anyApi = () => random.below(apis.length)

  /** Until there is a final answer, from one process after the other. */
  async function deliver(batch: TrafficBatch, why: SendReason, to: number): Promise<void> {
    for (let tries = 0; ; tries++) {
      const reason = tries === 0 || why === 'forgotten' ? why : 'retry'
      const { final, retryAfterMs } = await send(batch, reason, (to + tries) % apis.length)
      if (final) return
      const backoffMs = Math.min(BACKOFF_MIN_MS * 2 ** Math.min(tries, 10), BACKOFF_MAX_MS)
      await delay(Math.max(retryAfterMs, backoffMs * (0.5 + random.next())))
    }
  }

  async function attempt(batch: TrafficBatch): Promise<void> {
    const { number, organization, events } = batch
    await ledger.write({ kind: 'attempt', batch: number, organization, events, atMs: Date.now() })
    const to = anyApi()
    const again = random.chance(RESEND_SHARE) ? random.pick(['immediate', 'late', 'concurrent'] as const) : undefined
    if (again === 'concurrent') track(deliver(batch, again, (to + 1) % apis.length))
    await deliver(batch, 'first', to)
    counts.acknowledged += events
    if (remembered.length < REMEMBERED_MAX) remembered.push(batch)
    else remembered[random.below(REMEMBERED_MAX)] = batch
    if (again === 'immediate') await deliver(batch, again, to)
    if (again === 'late') await deliverLate(batch)
  }

  async function deliverLate(batch: TrafficBatch): Promise<void> {
    const ms = LATE_MS[0] + random.next() * (LATE_MS[1] - LATE_MS[0])
    await delay(ms, undefined, { signal: finishing.signal }).catch(() => {
      // At the end whoever is late comes at once.
    })
    await deliver(batch, 'late', anyApi())
  }

  return {
    say,

    /** Attempts one batch after the other at the stated rate, whatever becomes of them, until it is told to finish. */
    async run(): Promise<void> {
      let dueMs = performance.now()
      for (let next = 0; ; ) {
        await delay(Math.max(0, dueMs - performance.now()))
        if (finishing.signal.aborted) return
        const batch = makeBatch(name, next, organizations.length, random, padBytes)
        dueMs += (batch.events / eventsPerSecond) * 1000
        if (busy.size >= IN_FLIGHT_MAX) {
          counts.skipped += batch.events
          continue
        }
        next += 1
        counts.attempted += batch.events
        track(attempt(batch))
      }
    },

    async obey(message: TrafficOrder): Promise<void> {
      if (message.order === 'pad') padBytes = message.bytes
      if (message.order === 'repeat') {
        await Promise.all(remembered.slice(0, message.batches).map((batch) => deliver(batch, 'forgotten', anyApi())))
        say('repeated')
      }
      if (message.order === 'finish') {
        finishing.abort()
        while (busy.size > 0) await Promise.all(busy)
        say('finished')
      }
    },
  }
}
