import cluster, { type Worker } from 'node:cluster'
import type { Config } from './config.ts'
import { type SiblingMessage, send } from './infra/siblings.ts'

type Log = Record<'info' | 'error', (fields: object, message: string) => void>

/** One process that is kept running. */
interface Place {
  name: string
  environment: Record<string, string>
  worker: Worker | undefined
  /** Since when nobody serves in it; undefined while somebody does. */
  emptySinceMs: number | undefined
  hasServed: boolean
  startedAtMs: number
  waitMs: number
}

const FIRST_RETRY_MS = 200
const LAST_RETRY_MS = 10_000
/** A process that served this long is no longer counted as one that fails again and again. */
const STEADY_AFTER_MS = 30_000
/** A restart takes a second or two; a place that is empty for longer is reported. */
const MISSING_AFTER_MS = 10_000
const REPORT_TIMEOUT_MS = 1000

/**
 * Runs the roles in several processes on one port: as many of the role api as are configured, and one for the sinks and jobs, so that
 * a batch never holds up a request. One that dies comes back. One that never served could not start: its exit code ends everything.
 * `onEnd` hears once, when all of them are gone.
 */
export function runProcesses(config: Config, log: Log, onEnd: (code: number) => void) {
  const places = placesOf(config)
  let stopping = false
  let exitCode = 0

  function start(place: Place): void {
    place.startedAtMs = Date.now()
    const worker = cluster.fork(place.environment)
    place.worker = worker
    worker.on('message', (message: SiblingMessage) => {
      if (message.kind === 'started') started(place)
      if (message.kind === 'ask') void answer(worker, message)
    })
    worker.once('exit', (code, signal) => ended(place, code, signal))
    worker.on('error', (error) => {
      log.error({ err: error, process: place.name }, 'a process could not be reached')
      // One that the system did not start has no end either.
      if (worker.process.pid === undefined) ended(place, 1, null)
    })
  }

  function started(place: Place): void {
    if (place.emptySinceMs !== undefined)
      log.info({ process: place.name, pid: place.worker?.process.pid }, 'a process serves')
    place.emptySinceMs = undefined
    place.hasServed = true
    // One after the other the first time: a fault of the configuration is then said once.
    const next = places.find(({ worker, hasServed }) => worker === undefined && !hasServed)
    if (next) start(next)
  }

  function ended(place: Place, code: number | null, signal: string | null): void {
    place.worker = undefined
    place.emptySinceMs ??= Date.now()
    if (!stopping && !place.hasServed) {
      exitCode = code || 1
      stop()
    }
    if (stopping) {
      // One that was still starting has not learned yet to stop by itself.
      if (code !== 0 && signal !== 'SIGTERM') exitCode ||= code ?? 1
      if (places.every(({ worker }) => worker === undefined)) onEnd(exitCode)
      return
    }
    if (Date.now() - place.startedAtMs > STEADY_AFTER_MS) place.waitMs = FIRST_RETRY_MS
    log.error({ process: place.name, code, signal, retryMs: place.waitMs }, 'a process ended and is started again')
    setTimeout(() => {
      if (!stopping) start(place)
    }, place.waitMs)
    place.waitMs = Math.min(place.waitMs * 2, LAST_RETRY_MS)
  }

  async function answer(asker: Worker, { id, what }: Extract<SiblingMessage, { kind: 'ask' }>): Promise<void> {
    const serving = places.filter(({ emptySinceMs }) => emptySinceMs === undefined)
    const asked = what === 'metrics' ? serving : []
    const metrics = await Promise.all(asked.flatMap(({ worker }) => (worker ? [report(worker, id)] : [])))
    const lateMs = Date.now() - MISSING_AFTER_MS
    send(asker, {
      kind: 'answer',
      id,
      metrics: metrics.filter((known) => known !== undefined),
      missing: places.filter(({ emptySinceMs = Date.now() }) => emptySinceMs < lateMs).map(({ name }) => name),
    })
  }

  /** Asks every process to finish and waits for all of them. */
  function stop(): void {
    stopping = true
    for (const { worker } of places) worker?.kill('SIGTERM')
    if (places.every(({ worker }) => worker === undefined)) onEnd(exitCode)
  }

  const [first] = places
  if (first) start(first)
  return {
    stop,
    /** Ends what has not ended by itself. */
    kill() {
      exitCode ||= 1
      for (const { worker } of places) worker?.kill('SIGKILL')
    },
  }
}

function placesOf({ processes, roles }: Config): Place[] {
  const place = (name: string, roles: readonly string[]): Place => ({
    name,
    environment: { METERHOUSE_ROLES: roles.join(','), METERHOUSE_PROCESSES: '1' },
    worker: undefined,
    emptySinceMs: Date.now(),
    hasServed: false,
    startedAtMs: 0,
    waitMs: FIRST_RETRY_MS,
  })
  const others = roles.filter((role) => role !== 'api')
  return [
    ...Array.from({ length: processes }, (_, index) => place(`api ${index + 1}`, ['api'])),
    ...(others.length > 0 ? [place(others.join(' and '), others)] : []),
  ]
}

/** The metrics of one process, or nothing when it does not answer in time: the others are worth knowing still. */
function report(worker: Worker, id: string) {
  const { promise, resolve } = Promise.withResolvers<
    Extract<SiblingMessage, { kind: 'reported' }>['metrics'] | undefined
  >()
  const listen = (message: SiblingMessage) => {
    if (message.kind === 'reported' && message.id === id) resolve(message.metrics)
  }
  worker.on('message', listen)
  const timer = setTimeout(() => resolve(undefined), REPORT_TIMEOUT_MS)
  send(worker, { kind: 'report', id })
  return promise.finally(() => {
    clearTimeout(timer)
    worker.off('message', listen)
  })
}
