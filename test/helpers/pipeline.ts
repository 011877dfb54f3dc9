import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import type { Test } from 'tap'
import { createAdmission } from '../../src/domains/events/admit.ts'
import { bufferKeys, type Lane } from '../../src/domains/events/buffer.ts'
import { createCapture } from '../../src/domains/events/capture.ts'
import type { CapturedEvent } from '../../src/domains/events/captured-event.ts'
import { createEnricher } from '../../src/domains/events/enrich/enrich.ts'
import { NO_SENDER } from '../../src/domains/events/enrich/sender.ts'
import { createGate } from '../../src/domains/events/pace.ts'
import { packEvents } from '../../src/domains/events/pack.ts'
import { createSink } from '../../src/domains/events/sink.ts'
import type { ProjectScope } from '../../src/http/access.ts'
import { newId } from '../../src/ids.ts'
import { type ClickHouse, createClickHouse } from '../../src/infra/clickhouse.ts'
import { createMetrics } from '../../src/infra/metrics.ts'
import { createBlockingRedis, createRedis } from '../../src/infra/redis.ts'
import { startTestServices } from './services.ts'

/** The stations of the pipeline on real engines, one by one, so that a test can stand between two of them. */
export async function startPipeline(t: Test) {
  const { config } = await startTestServices(t, { METERHOUSE_SHARDS: '1' })
  const redis = createRedis(config.redis.ingestUrl)
  const clickhouse = createClickHouse(config.clickhouse)
  await new Promise((resolve) => redis.once('ready', resolve))
  t.teardown(async () => {
    redis.disconnect()
    await clickhouse.close()
  })
  const metrics = createMetrics()
  const admit = createAdmission({ redis, ...config.ingest })

  return {
    redis,
    clickhouse,
    metrics,
    keys: bufferKeys(0),
    admit,

    /** Admits events through the real door; resolves to the verdicts. */
    async send(scope: ProjectScope, events: Record<string, unknown>[], nowMs = Date.now(), lane: Lane = 'live') {
      return (await admit(scope, lane, packEvents(captureAll(events, scope, nowMs), nowMs))).verdicts
    },

    /** The rows that events become. */
    rows: (scope: ProjectScope, events: Record<string, unknown>[]) =>
      captureAll(events, scope, Date.now()).map(({ row }) => Buffer.from(row, 'latin1')),

    /** A sink over the given store. */
    sink(store: ClickHouse = clickhouse, lane: Lane = 'live', flushIntervalMs = 20, batchRowsMax = 1000) {
      const sink = createSink({
        shard: 0,
        lane,
        redis,
        blockingRedis: createBlockingRedis(config.redis.ingestUrl),
        clickhouse: store,
        flushIntervalMs,
        batchRowsMax,
        tailMs: 60_000,
        deduplicationWindowMs: config.ingest.deduplicationWindowMs,
        importGate: createGate(),
        outcomes: { count: () => {} },
        metrics,
        log: pino({ level: process.env.TEST_LOG ?? 'silent' }),
      })
      t.teardown(() => sink.stop())
      return sink
    },

    /** Ids of a project's stored events: as queries see them, and every row that was ever written. */
    async stored({ projectId }: ProjectScope) {
      const ids = async (final: string) => {
        const result = await clickhouse.client.query({
          query: `SELECT message_id FROM events ${final} WHERE project_id = {projectId:String} ORDER BY message_id`,
          query_params: { projectId },
          format: 'JSONEachRow',
        })
        return (await result.json<{ message_id: string }>()).map((row) => row.message_id)
      }
      return { seen: await ids('FINAL'), written: await ids('') }
    },
  }
}
export type Pipeline = Awaited<ReturnType<typeof startPipeline>>

export const newScope = (): ProjectScope => ({ organizationId: newId('org'), projectId: newId('prj') })

export function newEvents(count: number): { event: string; messageId: string; timestamp: string }[] {
  return Array.from({ length: count }, () => ({
    event: 'Tested',
    messageId: randomUUID(),
    timestamp: new Date().toISOString(),
  }))
}

const enricher = createEnricher({ onFault: () => {} })

/** Events as the door captures them when a server sends them, without a plan. */
export function captureAll(events: unknown[], scope: ProjectScope, receivedAtMs: number): CapturedEvent[] {
  const capture = createCapture({
    ...scope,
    receivedAtMs,
    sentAtMs: undefined,
    idempotencyKey: undefined,
    enrich: enricher.forRequest({ sender: NO_SENDER, ipPolicy: 'keep', clockSkewMs: 0 }),
    plan: null,
  })
  return events.map((value, index) => {
    const outcome = capture({ value }, index)
    if (!('event' in outcome)) throw new Error(JSON.stringify(outcome))
    return outcome.event
  })
}
