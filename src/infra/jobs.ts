import { type ConnectionOptions, Queue, Worker } from 'bullmq'
import type { FastifyBaseLogger } from 'fastify'
import { presentable } from './fault.ts'
import { createRedis, redisOptions } from './redis.ts'

/** Braces keep the keys of a queue in one slot of a Redis cluster. */
const PREFIX = '{jobs}'
/** The check writes past the log, onto the terminal, where a refusal to start has to stand alone. */
const SKIP_CHECK = true
const ATTEMPTS_MAX = 10
/** Doubled each time: ten attempts take about three quarters of an hour. */
const FIRST_PAUSE_MS = 5000
/** Longer than a relay can take to publish a fact again, which must find its job still known. */
const KEEP_DONE_SECONDS = 24 * 3600
const STOP_TIMEOUT_MS = 3000
const CONCURRENCY = 4

interface JobsOptions<Data> {
  redisUrl: string
  name: string
  work: (data: Data) => Promise<void>
  log: FastifyBaseLogger
  /** Called for a job whose last attempt has failed. It stays in the queue as failed, for whoever looks into it. */
  onDeadLetter: () => void
  firstPauseMs?: number
}

/**
 * A queue and the worker of this process for it. A job is known by its id: adding it again changes nothing. It is tried ten times, at
 * least once, and its data is readable in Redis, so it must hold no secret.
 */
export function createJobs<Data extends object>(options: JobsOptions<Data>) {
  const { name, work, log, onDeadLetter } = options
  // Whoever adds a job learns at once that Redis is away, and keeps the job; the worker waits until it is back.
  const adding = createRedis(options.redisUrl)
  const waiting = { ...redisOptions(options.redisUrl), maxRetriesPerRequest: null } as ConnectionOptions & object
  const queue = new Queue(name, {
    prefix: PREFIX,
    connection: adding,
    skipVersionCheck: SKIP_CHECK,
    defaultJobOptions: {
      attempts: ATTEMPTS_MAX,
      backoff: { type: 'exponential', delay: options.firstPauseMs ?? FIRST_PAUSE_MS, jitter: 0.2 },
      removeOnComplete: { age: KEEP_DONE_SECONDS },
    },
  })
  // What a job failed of is kept beside its data.
  const perform = (data: Data) =>
    work(data).catch((error: unknown) => {
      throw presentable(error)
    })
  const worker = new Worker<Data>(name, (job) => perform(job.data), {
    prefix: PREFIX,
    connection: waiting,
    skipVersionCheck: SKIP_CHECK,
    concurrency: CONCURRENCY,
    autorun: false,
  })
  // The connections of requests log the outage; these come back by themselves.
  const onError = (error: Error) => log.debug({ err: error, queue: name }, 'a queue has no Redis')
  adding.on('error', onError)
  queue.on('error', onError)
  worker.on('error', onError)
  worker.on('failed', (job, error) => {
    const fields = { err: error, queue: name, job: job?.id, attempt: job?.attemptsMade }
    if (!job || job.attemptsMade < ATTEMPTS_MAX) return log.warn(fields, 'a job failed and is tried again')
    onDeadLetter()
    log.error(fields, 'a job failed for the last time and is set aside')
  })
  let running: Promise<void> | undefined

  return {
    add: async (id: string, data: Data): Promise<void> => void (await queue.add(name, data, { jobId: id })),
    start() {
      running = worker.run()
      running.catch((error) => log.error({ err: error, queue: name }, 'the worker of a queue has stopped'))
    },
    /** Waits a little for the jobs under way; one that takes longer is taken over by another worker. */
    async stop() {
      const timer = AbortSignal.timeout(STOP_TIMEOUT_MS)
      const late = new Promise<void>((resolve) => timer.addEventListener('abort', () => resolve(), { once: true }))
      await Promise.race([worker.pause(), late])
      // By force, as a farewell to a Redis that is away would wait for its return.
      await worker.close(true)
      await queue.close()
      adding.disconnect()
    },
  }
}
export type Jobs<Data extends object> = ReturnType<typeof createJobs<Data>>
