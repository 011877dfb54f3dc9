import type { FastifyInstance, InjectOptions } from 'fastify'
import type { Test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { startTestServices, type TestServices } from './services.ts'

export interface TestApp extends TestServices {
  app: FastifyInstance
  /** What every route that has answered asks for, by `METHOD url`. */
  accessOf: Map<string, string | undefined>
}

/** The whole application on databases of its own, without a listening port unless a test asks for one; `prepare` may add to it. */
export async function startTestApp(
  t: Test,
  overrides: Record<string, string> = {},
  prepare: (app: FastifyInstance) => void = () => {},
): Promise<TestApp> {
  const services = await startTestServices(t, overrides)
  const app = await buildApp(services.config, process.env.TEST_LOG ? { level: process.env.TEST_LOG } : false)
  const accessOf: TestApp['accessOf'] = new Map()
  app.addHook('onResponse', async (request, reply) => {
    const { schema, url, config } = request.routeOptions
    accessOf.set(`${request.method} ${url}`, config.access)
    const declared = schema?.response as Record<string, unknown> | undefined
    // Whatever any test makes a route answer has to be in the OpenAPI document.
    if (declared && !(reply.statusCode in declared))
      t.fail(`${request.method} ${url} answers ${reply.statusCode}, which it does not declare`)
    const { content } = (declared?.[reply.statusCode] ?? {}) as { content?: Record<string, unknown> }
    const mediaType = String(reply.getHeader('content-type') ?? 'application/json').split(';', 1)[0] ?? ''
    if (declared && !(mediaType in (content ?? { 'application/json': true })))
      t.fail(`${request.method} ${url} answers ${reply.statusCode} as ${mediaType}, which it does not declare`)
  })
  prepare(app)
  await app.ready()
  t.teardown(() => app.close())
  return { ...services, app, accessOf }
}

/** A request with a credential and, where given, a JSON body. */
export function authorized(credential: string, request: InjectOptions): InjectOptions {
  return { ...request, headers: { ...request.headers, authorization: `Bearer ${credential}` } }
}

const POLL_INTERVAL_MS = 20

/** Polls until `probe` gives a value; no test waits for a fixed time. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  deadlineMs = 15_000,
): Promise<T> {
  const end = Date.now() + deadlineMs
  for (;;) {
    const value = await probe()
    if (value !== undefined && value !== false) return value
    if (Date.now() > end) throw new Error(`${what} did not happen within ${deadlineMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS))
  }
}
