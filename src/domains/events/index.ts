import type { FastifyPluginAsync } from 'fastify'
import type { Config } from '../../config.ts'
import { createBlockingRedis } from '../../infra/redis.ts'
import { createAdmission } from './admit.ts'
import { bufferKeys, LANES } from './buffer.ts'
import { createBufferGauge } from './buffer-gauge.ts'
import { watchDoor } from './door.ts'
import { createFairShare } from './fair-share.ts'
import { createLoopDelay } from './loop-delay.ts'
import { createGate } from './pace.ts'
import { createPressure, type Pressure } from './pressure.ts'
import { readBinaryCloudEvents } from './protocols/cloudevents-binary.ts'
import { allowBrowsers } from './protocols/cors.ts'
import { pixelRoutes } from './protocols/pixel.ts'
import { sdkRoutes } from './protocols/routes.ts'
import { receiptRoutes } from './receipt-routes.ts'
import { createReceipts } from './receipts.ts'
import { createReplayDoor, type PlanCheck } from './replay.ts'
import { eventRoutes } from './routes.ts'
import { createIngestService } from './service.ts'
import { createSink } from './sink.ts'
import { createTail } from './tail.ts'

export { shardOf } from './buffer.ts'
export { type DirtyHour, type HourOfProject, markDirty, readDirty, settleDirty } from './dirty.ts'
export { SKEW_MS_MAX } from './enrich/clock.ts'
export { ENRICHMENT_COLUMNS } from './enrich/columns.ts'
export { shapeEnrichment } from './enrich/shape.ts'
export { acceptedInMonth, createOutcomes, type Outcome, type Outcomes, readOutcomes } from './outcomes.ts'
export type { Pressure } from './pressure.ts'
export { createProgress, storedThroughMs } from './progress.ts'
export { QUARANTINE_COLUMNS, QUARANTINE_TABLE, quarantineBytes, raised } from './quarantine-row.ts'
export type { PlanCheck, ReplayDoor } from './replay.ts'
export { isAfter, type LiveEvent, type Tail } from './tail.ts'

/** The door of the pipeline: `POST /v1/events`, and the routes of other products' SDKs. */
const eventsPlugin: FastifyPluginAsync<{ config: Config; pressure: Pressure }> = async (app, { config, pressure }) => {
  const { shards, deduplicationWindowMs, eventsPerSecond } = config.ingest
  const admit = createAdmission({ redis: app.ingestRedis, shards, deduplicationWindowMs, eventsPerSecond })
  const ingest = createIngestService({ admit: pressure.notingBursts(admit), metrics: app.metrics })
  allowBrowsers(app)
  watchDoor(app, pressure)
  readBinaryCloudEvents(app, ['/v1/events', '/api/v1/events'])
  await app.register(eventRoutes, { ingest, eventsPerSecond })
  await app.register(sdkRoutes, { ingest, eventsPerSecond, publicUrl: config.http.publicUrl })
  await app.register(pixelRoutes, {
    metrics: app.metrics,
    take: (scope, value) =>
      ingest({
        scope,
        lane: 'live',
        batch: { events: [{ value }], sentAt: undefined },
        sentAtMs: undefined,
        idempotencyKey: undefined,
      }),
  })
}
export default eventsPlugin

/** Where one event is, by its id. Beside the door and not of it: pages of other origins may send, and may not ask. */
export const receiptsPlugin: FastifyPluginAsync<{ config: Config }> = async (app, { config }) => {
  const { ingestRedis: redis, clickhouse } = app
  await app.register(receiptRoutes, { receipts: createReceipts({ redis, clickhouse, ...config.ingest }) })
}

/** The other end: one sink per lane of each shard, of which one process at a time is active. */
export const sinkPlugin: FastifyPluginAsync<{ config: Config; pressure: Pressure }> = async (
  app,
  { config, pressure },
) => {
  const { shards, tailMs, deduplicationWindowMs } = config.ingest
  const importGate = createGate()
  const sinks = Array.from({ length: shards }, (_, shard) => shard).flatMap((shard) =>
    LANES.map((lane) =>
      createSink({
        shard,
        lane,
        redis: app.ingestRedis,
        blockingRedis: createBlockingRedis(config.redis.ingestUrl),
        clickhouse: app.clickhouse,
        ...config.sink,
        tailMs,
        deduplicationWindowMs,
        importGate,
        isCrowded: pressure.isCrowded,
        metrics: app.metrics,
        log: app.log,
      }),
    ),
  )
  app.addHook('onReady', async () => {
    for (const sink of sinks) sink.start()
  })
  app.addHook('preClose', async () => void (await Promise.all(sinks.map((sink) => sink.stop()))))
}

/** The reader behind live sockets; the caller stops it. */
export function openTail(app: Parameters<FastifyPluginAsync>[0], config: Config) {
  return createTail({
    redis: app.ingestRedis,
    blockingRedis: createBlockingRedis(config.redis.ingestUrl),
    shards: config.ingest.shards,
    log: app.log,
  })
}

/** How much room the buffer and this process have, from the moment when the application is ready. */
export function openPressure(app: Parameters<FastifyPluginAsync>[0], config: Config): Pressure {
  const { metrics } = app
  const loopDelay = createLoopDelay()
  const gauge = createBufferGauge({
    redis: app.ingestRedis,
    streams: Array.from({ length: config.ingest.shards }, (_, shard) =>
      LANES.map((lane) => ({ lane, ...bufferKeys(shard, lane) })),
    ).flat(),
    bytesMax: config.ingest.bufferBytesMax,
    log: app.log,
    onSample({ memoryShare, laneLagsMs }) {
      metrics.bufferMemory.set(memoryShare ?? 0)
      for (const [lane, lagMs] of laneLagsMs) metrics.bufferLag.set({ lane }, lagMs / 1000)
      metrics.loopDelay.set(loopDelay.delayMs() / 1000)
      metrics.inFlightBytes.set(pressure.inFlightBytes())
    },
  })
  const pressure = createPressure({
    buffer: gauge.state,
    loopDelayMs: loopDelay.delayMs,
    fairShare: createFairShare(),
    metrics,
  })
  app.addHook('onReady', async () => gauge.start())
  app.addHook('onClose', async () => {
    gauge.stop()
    loopDelay.stop()
  })
  return pressure
}

/** The door for events that have been kept apart. */
export function openReplayDoor(app: Parameters<FastifyPluginAsync>[0], config: Config, check: PlanCheck) {
  const { shards, deduplicationWindowMs, eventsPerSecond } = config.ingest
  const admit = createAdmission({ redis: app.ingestRedis, shards, deduplicationWindowMs, eventsPerSecond })
  return createReplayDoor({ admit, check })
}
