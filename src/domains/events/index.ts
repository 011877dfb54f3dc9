import type { FastifyPluginAsync } from 'fastify'
import type { Config } from '../../config.ts'
import { type ProjectScope, projectScope } from '../../http/access.ts'
import { createBlockingRedis } from '../../infra/redis.ts'
import { createAdmission } from './admit.ts'
import { bufferKeys, LANES } from './buffer.ts'
import { createBufferGauge } from './buffer-gauge.ts'
import { watchDoor } from './door.ts'
import { createEnricher, type Enricher } from './enrich/enrich.ts'
import { createFairShare } from './fair-share.ts'
import type { KnownQuotas } from './known-quotas.ts'
import { createLoopDelay } from './loop-delay.ts'
import { createOutcomes, type Outcomes } from './outcomes.ts'
import { createGate } from './pace.ts'
import type { Plan } from './plan.ts'
import { createPressure, type Pressure } from './pressure.ts'
import { readBinaryCloudEvents } from './protocols/cloudevents-binary.ts'
import { allowBrowsers } from './protocols/cors.ts'
import { pixelRoutes } from './protocols/pixel.ts'
import { sdkRoutes } from './protocols/routes.ts'
import { receiptRoutes } from './receipt-routes.ts'
import { createReceipts } from './receipts.ts'
import { createReplayDoor } from './replay.ts'
import { factsOf } from './request-facts.ts'
import { eventRoutes } from './routes.ts'
import { createIngestService } from './service.ts'
import { createSink } from './sink.ts'
import { createTail } from './tail.ts'

export { shardOf } from './buffer.ts'
export { type DirtyHour, type HourOfProject, markDirty, readDirty, settleDirty } from './dirty.ts'
export { SKEW_MS_MAX } from './enrich/clock.ts'
export { ENRICHMENT_COLUMNS } from './enrich/columns.ts'
export type { Enricher } from './enrich/enrich.ts'
export { shapeEnrichment } from './enrich/shape.ts'
export { eraseEvents, eraseEventsBefore } from './erase.ts'
export { HELD_BY_QUOTA } from './hold.ts'
export { createKnownQuotas, type KnownQuotas } from './known-quotas.ts'
export { acceptedInMonth, createOutcomes, type Outcome, type Outcomes, readOutcomes } from './outcomes.ts'
export type { Pressure } from './pressure.ts'
export { createProgress, shardProgress, storedThroughMs } from './progress.ts'
export { QUARANTINE_COLUMNS, QUARANTINE_TABLE, quarantineBytes, raised } from './quarantine-row.ts'
export type { QuotaMode, QuotaPeriod, QuotaPolicy, QuotaState } from './quota-state.ts'
export { createQuotas, type Quotas } from './quotas.ts'
export type { ReplayDoor } from './replay.ts'
export { isAfter, type LiveEvent, type Tail } from './tail.ts'

interface DoorOptions {
  config: Config
  pressure: Pressure
  enricher: Enricher
  outcomes: Outcomes
  planOf: (scope: ProjectScope) => Promise<Plan | null>
}

/** The door of the pipeline: `POST /v1/events`, and the routes of other products' SDKs. */
const eventsPlugin: FastifyPluginAsync<DoorOptions> = async (app, options) => {
  const { config, pressure, enricher, outcomes, planOf } = options
  const admit = pressure.noting(openAdmission(app, config))
  const ingest = createIngestService({ admit, enricher, planOf, outcomes, metrics: app.metrics })
  allowBrowsers(app)
  watchDoor(app, pressure)
  readBinaryCloudEvents(app, ['/v1/events', '/api/v1/events'])
  await app.register(eventRoutes, { ingest })
  await app.register(sdkRoutes, { ingest, publicUrl: config.http.publicUrl })
  await app.register(pixelRoutes, {
    metrics: app.metrics,
    take: (request, value) =>
      ingest({
        scope: projectScope(request),
        lane: 'live',
        facts: factsOf(request),
        batch: { events: [{ value }], sentAt: undefined },
        sentAtMs: undefined,
        idempotencyKey: undefined,
      }),
  })
}
export default eventsPlugin

type App = Parameters<FastifyPluginAsync>[0]

function openAdmission(app: App, config: Config) {
  const { shards, deduplicationWindowMs, eventsPerSecond } = config.ingest
  return createAdmission({ redis: app.ingestRedis, shards, deduplicationWindowMs, eventsPerSecond })
}

/** What is added to every event. The files of places are read when the server begins to listen, or on first need. */
export function openEnricher(app: App, { warms }: { warms: boolean }): Enricher {
  const enricher = createEnricher({ onFault: (err) => app.log.error({ err }, 'places cannot be looked up') })
  if (warms) app.addHook('onListen', async () => void enricher.warm())
  return enricher
}

/** What became of events, counted for their projects. */
export function openOutcomes(app: App, config: Config): Outcomes {
  const outcomes = createOutcomes({ redis: app.ingestRedis, shards: config.ingest.shards, log: app.log })
  app.addHook('preClose', () => outcomes.stop())
  return outcomes
}

/** Where one event is, by its id. Beside the door and not of it: pages of other origins may send, and may not ask. */
export const receiptsPlugin: FastifyPluginAsync<{ config: Config }> = async (app, { config }) => {
  const { ingestRedis: redis, clickhouse } = app
  await app.register(receiptRoutes, { receipts: createReceipts({ redis, clickhouse, ...config.ingest }) })
}

/** The other end: one sink per lane of each shard, of which one process at a time is active. */
export const sinkPlugin: FastifyPluginAsync<{ config: Config; pressure: Pressure; outcomes: Outcomes }> = async (
  app,
  { config, pressure, outcomes },
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
        outcomes,
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
export function openTail(app: App, config: Config) {
  return createTail({
    redis: app.ingestRedis,
    blockingRedis: createBlockingRedis(config.redis.ingestUrl),
    shards: config.ingest.shards,
    log: app.log,
  })
}

/** How much room the buffer and this process have, from the moment when the application is ready. */
export function openPressure(app: App, config: Config, quotas: KnownQuotas): Pressure {
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
    quotas,
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
export function openReplayDoor(app: App, config: Config, rules: Omit<Parameters<typeof createReplayDoor>[0], 'admit'>) {
  return createReplayDoor({ admit: openAdmission(app, config), ...rules })
}
