import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { notFound } from '../errors.ts'
import { problemResponses } from './schemas.ts'

const CHECK_TIMEOUT_MS = 2000

interface HealthOptions {
  /** Each outside system by name; a check rejects when the system does not answer. */
  checks: Record<string, () => Promise<unknown>>
  metricsToken: string | undefined
}

const Readiness = Type.Object(
  {
    status: Type.Union([Type.Literal('ready'), Type.Literal('not_ready')]),
    checks: Type.Record(
      Type.String(),
      Type.Union([Type.Literal('ok'), Type.Literal('failed'), Type.Literal('stopping')]),
    ),
  },
  { examples: [{ status: 'ready', checks: { postgres: 'ok', clickhouse: 'ok', redis: 'ok', ingestRedis: 'ok' } }] },
)

/** Liveness, readiness and metrics, for supervisors and load balancers. */
const health: FastifyPluginAsyncTypebox<HealthOptions> = async (app, { checks, metricsToken }) => {
  let stopping = false
  app.addHook('preClose', async () => {
    stopping = true
  })

  app.get(
    '/health/live',
    {
      // Probes come every few seconds: the log has them only when they fail.
      logLevel: 'warn',
      config: { access: 'public', rateLimit: false },
      schema: {
        operationId: 'live',
        summary: 'Whether the process is alive',
        description: 'Answers as long as the event loop turns; says nothing about the services behind it.',
        tags: ['Operations'],
        response: {
          200: Type.Object({ status: Type.Literal('live') }, { description: 'Alive.', examples: [{ status: 'live' }] }),
          ...problemResponses(),
        },
      },
    },
    async () => ({ status: 'live' as const }),
  )

  app.get(
    '/health/ready',
    {
      logLevel: 'warn',
      config: { access: 'public', rateLimit: false },
      schema: {
        operationId: 'ready',
        summary: 'Whether the process can serve',
        description: 'Checks each service by name. 503 while one does not answer and while the process is stopping.',
        tags: ['Operations'],
        response: {
          200: { ...Readiness, description: 'Every service answers.' },
          503: { ...Readiness, description: 'A service does not answer, or the process is stopping.' },
          ...problemResponses(),
        },
      },
    },
    async (_request, reply) => {
      if (stopping) return reply.code(503).send({ status: 'not_ready', checks: { process: 'stopping' } })
      const results = await Promise.all(
        Object.entries(checks).map(async ([name, check]) => [name, await passes(check)] as const),
      )
      const ready = results.every(([, ok]) => ok)
      return reply.code(ready ? 200 : 503).send({
        status: ready ? 'ready' : 'not_ready',
        checks: Object.fromEntries(results.map(([name, ok]) => [name, ok ? 'ok' : 'failed'])),
      })
    },
  )

  app.get(
    '/metrics',
    {
      logLevel: 'warn',
      config: { access: 'public', rateLimit: false },
      schema: {
        operationId: 'metrics',
        summary: 'Prometheus metrics',
        description:
          'Text format, of all processes of one command together. Answered to loopback, or to METERHOUSE_METRICS_TOKEN as bearer token; 404 to everyone else.',
        tags: ['Operations'],
        response: {
          200: {
            description: 'Prometheus text format.',
            content: {
              'text/plain': { schema: Type.String({ examples: ['meterhouse_events_total{verdict="accepted"} 17'] }) },
            },
          },
          ...problemResponses(404),
        },
      },
    },
    async (request, reply) => {
      const allowed = metricsToken ? request.headers.authorization === `Bearer ${metricsToken}` : isLoopback(request.ip)
      if (!allowed) throw notFound('There is no GET /metrics.')
      return reply.type(app.metrics.registry.contentType).send(await app.siblings.metrics())
    },
  )
}
export default health

async function passes(check: () => Promise<unknown>): Promise<boolean> {
  const timeout = AbortSignal.timeout(CHECK_TIMEOUT_MS)
  const expired = new Promise<false>((resolve) =>
    timeout.addEventListener('abort', () => resolve(false), { once: true }),
  )
  return Promise.race([
    check().then(
      () => true,
      () => false,
    ),
    expired,
  ])
}

const isLoopback = (ip: string) => ip === '127.0.0.1' || ip === '::1' || ip === '::ffff:127.0.0.1'
