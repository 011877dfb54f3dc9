import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Redis } from 'ioredis'
import type { ClickHouse } from '../../infra/clickhouse.ts'
import { failpoint } from '../../infra/failpoints.ts'
import type { Metrics } from '../../infra/metrics.ts'
import { planBatch, type SealedRecord } from './batch.ts'
import { type BufferEntry, bufferKeys, decodeEntry, type Lane, type RawEntry } from './buffer.ts'
import { createDeadLetters } from './dead-letters.ts'
import { createDeposit } from './deposit.ts'
import { touchedHours } from './dirty.ts'
import { createForget } from './forget.ts'
import { acquireLease, Fenced, type Lease } from './lease.ts'
import type { Outcomes } from './outcomes.ts'
import { createPace, type Gate, unhurried } from './pace.ts'
import { createReader } from './reader.ts'
import { STORES } from './stores.ts'
import { createTrimmer } from './trimmer.ts'

export interface SinkOptions {
  shard: number
  lane: Lane
  /** For short commands. */
  redis: Redis
  /** A connection of the sink's own, for XREAD BLOCK. */
  blockingRedis: Redis
  clickhouse: ClickHouse
  flushIntervalMs: number
  batchRowsMax: number
  /** How long stored entries of the live lane stay readable; nobody reads those of the others. */
  tailMs: number
  /** Whether the buffer's memory is short. */
  isCrowded?: () => boolean
  deduplicationWindowMs: number
  /** Shared by the import lanes of all shards in the process. */
  importGate: Gate
  outcomes: Pick<Outcomes, 'count'>
  metrics: Metrics
  log: FastifyBaseLogger
}

const LEASE_RETRY_MS = 500
const FAILURE_PAUSE_MS = 1000
/** Nobody waits for an import to show, so its batches gather longer: fewer and larger parts. */
const IMPORT_FLUSH_FACTOR = 4

/**
 * The sink of one lane of a shard: buffer → ClickHouse, in the order of admission. It promises at-least-once towards ClickHouse, and that
 * the cursor never passes a row that is not provably stored; identity makes it exactly once for whoever reads.
 * One batch: gather → seal (write the range down) → deposit → advance the cursor. A crash anywhere leaves either no record, and
 * the rows are gathered again, or a record, and its batch is probed before it is believed.
 */
export function createSink(options: SinkOptions) {
  const { shard, lane, redis, blockingRedis, clickhouse, outcomes, metrics, deduplicationWindowMs } = options
  const log = options.log.child({ shard, lane })
  const keys = bufferKeys(shard, lane)
  const store = STORES[lane]
  const stopping = new AbortController()
  const signal = stopping.signal
  const trim = createTrimmer({
    redis,
    stream: keys.stream,
    tailMs: lane === 'live' ? options.tailMs : 0,
    isCrowded: options.isCrowded,
  })
  const live = bufferKeys(shard, 'live')
  const pace = lane === 'import' ? createPace({ redis, first: live, gate: options.importGate, signal }) : unhurried
  const forget = createForget({ redis, marks: keys.marks, deduplicationWindowMs })
  const setAside = createDeadLetters({ clickhouse, forget, rebuild: store.rebuild, outcomes, metrics, log })
  const gather = createReader({
    redis,
    blockingRedis,
    stream: keys.stream,
    rowsMax: options.batchRowsMax,
    flushIntervalMs: options.flushIntervalMs * (lane === 'import' ? IMPORT_FLUSH_FACTOR : 1),
    signal,
  })
  let running: Promise<void> = Promise.resolve()

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        const lease = blockingRedis.status === 'ready' ? await acquireLease(redis, shard, lane) : null
        if (!lease) {
          await delay(LEASE_RETRY_MS, undefined, { signal })
          continue
        }
        await hold(lease).finally(() => lease.release().catch(ignoreLostRedis))
      } catch (error) {
        if (stopping.signal.aborted) return
        if (error instanceof Fenced) log.warn('another sink has taken the lane over')
        else log.error({ err: error }, 'the sink failed and will begin again')
        await delay(FAILURE_PAUSE_MS, undefined, { signal }).catch(ignoreAbort)
      }
    }
  }

  async function hold(lease: Lease): Promise<void> {
    const byMonths = lane === 'import'
    const { epoch } = lease
    const deposit = createDeposit({ clickhouse, store, byMonths, pace, setAside, epoch, metrics, log, signal })
    const save = async (entries: BufferEntry[], doubtful: boolean) => {
      failpoint('sink.gathered')
      const batch = planBatch(shard, lane, entries)
      const sealedAt = performance.now()
      const record: SealedRecord = { first: batch.first, last: batch.last }
      await lease.seal(JSON.stringify(record))
      failpoint('sink.sealed')
      await deposit(batch, doubtful)
      failpoint('sink.stored')
      // What waits for repair is not counted.
      await lease.advance(batch.last, lane === 'quarantine' ? [] : touchedHours(entries))
      failpoint('sink.released')
      metrics.batchRows.observe(batch.rows)
      metrics.batchSeconds.observe((performance.now() - sealedAt) / 1000)
      await trim(batch)
    }

    const sealed = await redis.get(keys.sealed)
    if (sealed) {
      const { first, last } = JSON.parse(sealed) as SealedRecord
      const entries = await redis.xrangeBuffer(keys.stream, first, last)
      log.info({ first, last }, 'resuming a batch whose outcome is unknown')
      if (entries.length > 0) await save((entries as RawEntry[]).map(decodeEntry), true)
    }
    let cursor = (await redis.get(keys.cursor)) ?? '0-0'
    await trim({ last: cursor, bytes: 0 })
    let gathering = gatherAhead(cursor)
    while (!stopping.signal.aborted) {
      const entries = await gathering
      cursor = entries.at(-1)?.id ?? cursor
      // The next batch is gathered while this one is stored. Storing stays strictly in order.
      gathering = gatherAhead(cursor)
      if (entries.length > 0) await save(entries, false)
      else await trim(null)
    }
  }

  function gatherAhead(after: string): Promise<BufferEntry[]> {
    const gathering = gather(after)
    gathering.catch(() => {
      // The loop awaits the same promise and sees the failure there, unless it has ended, when nobody needs to.
    })
    return gathering
  }

  return {
    start() {
      running = run()
    },
    /** Finishes nothing that is not already sent: what is sealed is taken up again by the next sink. */
    async stop() {
      stopping.abort()
      blockingRedis.disconnect()
      await running
    },
  }
}

function ignoreAbort(): void {
  // The loop's own condition ends it.
}

function ignoreLostRedis(): void {
  // Without Redis the lease cannot be given back; it runs out by itself.
}
