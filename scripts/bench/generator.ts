import { type Encoding, gzipPool, renewIds, type Template, templateOf } from './bodies.ts'
import { type Connection, openConnection } from './connection.ts'

/** What the generator process is told to send. */
export interface LoadPlan {
  port: number
  path: string
  key: string
  eventsPerRequest: number
  encoding: Encoding
  connections: number
  durationMs: number
  /** Requests per second of an open loop; without it every connection sends as soon as it has its answer. */
  requestsPerSecond?: number
}

/** What came of it. Latencies in milliseconds; in an open loop from when a request was due, so that waiting is not left out. */
export interface LoadResult {
  requests: number
  errors: number
  statuses: Record<string, number>
  durationMs: number
  p50Ms: number
  p99Ms: number
  maxMs: number
  /** CPU of the generator itself. */
  cpuMicros: number
}

const VARIANTS = 8
const POOL_SIZES: Record<number, number> = { 1: 100_000, 100: 6000, 1000: 600 }

process.on('message', (plan: LoadPlan) => {
  run(plan).then(
    (result) => process.send?.(result),
    (error: Error) => process.send?.({ failure: error.message }),
  )
})
process.on('disconnect', () => process.exit())

interface Lane {
  connection: Connection
  templates: Template[]
  turn: number
}

async function run(plan: LoadPlan): Promise<LoadResult> {
  const pool =
    plan.encoding === 'gzip'
      ? gzipPool(POOL_SIZES[plan.eventsPerRequest] ?? 1000, plan.eventsPerRequest, Date.now())
      : []
  const failures: Error[] = []
  const lanes = await Promise.all(
    Array.from({ length: plan.connections }, async (_, index): Promise<Lane> => {
      const templates = Array.from({ length: plan.encoding === 'json' ? VARIANTS : 0 }, (_, variant) =>
        templateOf(plan.eventsPerRequest, (index * VARIANTS + variant) * plan.eventsPerRequest, Date.now()),
      )
      return { connection: await openConnection(plan.port, (error) => failures.push(error)), templates, turn: 0 }
    }),
  )
  const result = await load(plan, lanes, pool)
  for (const { connection } of lanes) connection.close()
  return { ...result, errors: result.errors + failures.length }
}

function load(plan: LoadPlan, lanes: Lane[], pool: Buffer[]): Promise<LoadResult> {
  const { durationMs, requestsPerSecond } = plan
  const latencies: number[] = []
  const statuses: Record<string, number> = {}
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  const idle: Lane[] = []
  const due: number[] = []
  let scheduled = 0
  let underWay = 0
  let errors = 0

  return new Promise((resolve) => {
    const isOver = () => performance.now() - startedAt >= durationMs || (plan.encoding === 'gzip' && pool.length === 0)

    function send(lane: Lane, since: number): void {
      const body = nextBody(lane, pool)
      if (!body) return void idle.push(lane)
      underWay += 1
      lane.connection.send(headOf(plan, body.length), body, (status) => {
        underWay -= 1
        latencies.push(performance.now() - since)
        statuses[status] = (statuses[status] ?? 0) + 1
        if (status !== 202) errors += 1
        proceed(lane)
      })
    }

    function proceed(lane: Lane): void {
      if (isOver()) {
        if (underWay === 0) finish()
      } else if (requestsPerSecond === undefined) {
        send(lane, performance.now())
      } else {
        const since = due.shift()
        if (since === undefined) idle.push(lane)
        else send(lane, since)
      }
    }

    function finish(): void {
      clearInterval(timer)
      const cpu = process.cpuUsage(cpuBefore)
      const sorted = Float64Array.from(latencies).sort()
      const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
      resolve({
        ...{ requests: latencies.length, errors, statuses, durationMs: performance.now() - startedAt },
        ...{ p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1), cpuMicros: cpu.user + cpu.system },
      })
    }

    const timer = setInterval(() => {
      if (requestsPerSecond === undefined || isOver()) {
        if (isOver() && underWay === 0) finish()
        return
      }
      const now = performance.now()
      for (; scheduled < ((now - startedAt) / 1000) * requestsPerSecond; scheduled++) {
        const since = startedAt + (scheduled / requestsPerSecond) * 1000
        const lane = idle.pop()
        if (lane) send(lane, since)
        else due.push(since)
      }
    }, 1)
    if (requestsPerSecond === undefined) for (const lane of lanes) send(lane, performance.now())
    else idle.push(...lanes)
  })
}

function nextBody(lane: Lane, pool: Buffer[]): Buffer | undefined {
  if (lane.templates.length === 0) return pool.pop()
  const template = lane.templates[lane.turn++ % lane.templates.length] as Template
  renewIds(template)
  return template.body
}

const headOf = ({ path, key, encoding }: LoadPlan, length: number) =>
  `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\n${
    encoding === 'gzip' ? 'content-encoding: gzip\r\n' : ''
  }content-length: ${length}\r\n\r\n`
