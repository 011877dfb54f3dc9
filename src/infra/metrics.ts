import fp from 'fastify-plugin'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export type Metrics = ReturnType<typeof createMetrics>

declare module 'fastify' {
  interface FastifyInstance {
    metrics: Metrics
  }
}

const LATENCY_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Every metric of the process in one place; stations receive the ones that they move. */
export function createMetrics() {
  const registry = new Registry()
  const registers = [registry]
  return {
    registry,
    processes: new Gauge({
      name: 'meterhouse_processes',
      help: 'Processes whose metrics these are.',
      registers,
    }),
    requests: new Histogram({
      name: 'meterhouse_http_request_duration_seconds',
      help: 'Time to answer an HTTP request, by route and status.',
      labelNames: ['method', 'route', 'status'],
      buckets: LATENCY_BUCKETS_SECONDS,
      registers,
    }),
    events: new Counter({
      name: 'meterhouse_events_total',
      help: 'Events by verdict at the door: accepted, duplicate, rejected, quarantined, and beyond a limit quota_exceeded, held, sampled_out.',
      labelNames: ['verdict'],
      registers,
    }),
    conflicts: new Counter({
      name: 'meterhouse_deduplication_conflicts_total',
      help: 'Duplicates whose content differs from the copy that was accepted first.',
      registers,
    }),
    pixelFaults: new Counter({
      name: 'meterhouse_pixel_faults_total',
      help: 'Events of pixels that were not taken, by code; the sender is not told.',
      labelNames: ['code'],
      registers,
    }),
    batchRows: new Histogram({
      name: 'meterhouse_sink_batch_rows',
      help: 'Rows of each batch that reached ClickHouse.',
      buckets: [1, 10, 100, 1000, 5000, 10_000, 20_000, 50_000],
      registers,
    }),
    batchSeconds: new Histogram({
      name: 'meterhouse_sink_batch_duration_seconds',
      help: 'Time from sealing a batch to its release.',
      buckets: LATENCY_BUCKETS_SECONDS,
      registers,
    }),
    sinkDoubts: new Counter({
      name: 'meterhouse_sink_doubtful_batches_total',
      help: 'Batches whose insert had an unknown outcome and that were probed before release.',
      registers,
    }),
    deadLetters: new Counter({
      name: 'meterhouse_sink_dead_letters_total',
      help: 'Rows that ClickHouse refuses and that were set aside.',
      registers,
    }),
    usageLag: new Gauge({
      name: 'meterhouse_usage_lag_seconds',
      help: 'Age of the oldest stored rows that no usage window counts yet, by shard.',
      labelNames: ['shard'],
      registers,
    }),
    usageDelay: new Histogram({
      name: 'meterhouse_usage_window_delay_seconds',
      help: 'Time from the storing of rows to the usage windows that count them.',
      buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600],
      registers,
    }),
    usageLate: new Counter({
      name: 'meterhouse_usage_late_windows_total',
      help: 'Usage windows that changed after they had been complete, because events came later than two hours.',
      registers,
    }),
    unreconciled: new Gauge({
      name: 'meterhouse_reconciliation_difference_events',
      help: `Sum over all organizations at the last reconciliation. accepted_not_stored: accepted at the door and not in the event store,
which is what was resent after the door forgot it, quarantined or refused by the store, and otherwise a loss. stored_not_accepted and
windows: must be 0.`,
      labelNames: ['check'],
      registers,
    }),
    bufferMemory: new Gauge({
      name: 'meterhouse_buffer_memory_share',
      help: 'Share of its memory limit that the event buffer uses; 0 when it has no limit.',
      aggregator: 'max',
      registers,
    }),
    bufferLag: new Gauge({
      name: 'meterhouse_buffer_lag_seconds',
      help: 'Age of the oldest entry of the event buffer that is not stored yet, by lane.',
      labelNames: ['lane'],
      aggregator: 'max',
      registers,
    }),
    inFlightBytes: new Gauge({
      name: 'meterhouse_ingest_in_flight_bytes',
      help: 'Decoded bytes of the requests with events that are being worked on.',
      registers,
    }),
    loopDelay: new Gauge({
      name: 'meterhouse_event_loop_delay_seconds',
      help: 'How long the event loop keeps a due timer waiting, as the door judges it.',
      aggregator: 'max',
      registers,
    }),
    refusals: new Counter({
      name: 'meterhouse_ingest_refusals_total',
      help: 'Requests with events that were refused before their body was read, by reason.',
      labelNames: ['reason'],
      registers,
    }),
    quotaDrift: new Counter({
      name: 'meterhouse_quota_drift_events_total',
      help: `Events by which the quotas of the door were corrected: undercounted were stored and not counted, overcounted counted and not
stored, which is what was resent after the door forgot it, deleted, or refused by the store.`,
      labelNames: ['direction'],
      registers,
    }),
    deadJobs: new Counter({
      name: 'meterhouse_dead_jobs_total',
      help: 'Jobs whose last attempt failed and that were set aside, by queue.',
      labelNames: ['queue'],
      registers,
    }),
    liveSockets: new Gauge({ name: 'meterhouse_live_sockets', help: 'Open live WebSockets.', registers }),
    liveDropped: new Counter({
      name: 'meterhouse_live_dropped_total',
      help: 'Events not sent to a live socket because it read too slowly.',
      registers,
    }),
  }
}

export default fp(
  async (app) => {
    const metrics = createMetrics()
    collectDefaultMetrics({ register: metrics.registry })
    metrics.processes.set(1)
    app.decorate('metrics', metrics)
    // Looking a series up by its labels costs more than counting does.
    const series = new Map<string, { observe: (seconds: number) => void }>()
    app.addHook('onResponse', (request, reply, done) => {
      const { method, routeOptions } = request
      const route = routeOptions.url ?? 'unknown'
      const name = `${method} ${reply.statusCode} ${route}`
      let requests = series.get(name)
      if (!requests) {
        requests = metrics.requests.labels({ method, route, status: reply.statusCode })
        series.set(name, requests)
      }
      requests.observe(reply.elapsedTime / 1000)
      done()
    })
  },
  { name: 'metrics' },
)
