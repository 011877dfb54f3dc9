import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config.ts'
import { describeFault } from '../infra/fault.ts'

const REQUEST_ID = /^[\w.-]{8,128}$/
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/

/** The caller's own x-request-id where it is well-formed, else a new one. */
export function requestId(request: Pick<IncomingMessage, 'headers'>): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID()
}

/** Options of the process's logger. Nothing logs headers or bodies; the redaction is the second lock. */
export function loggerOptions({ level, format }: Config['log'], isTerminal: boolean) {
  const pretty = format === 'pretty' || (format === 'auto' && isTerminal)
  return {
    level,
    base: undefined,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    serializers: { err: (error: unknown) => ({ ...describeFault(error) }) },
    formatters: { level: (label: string) => ({ level: label }) },
    redact: {
      paths: ['authorization', 'cookie', 'password', 'secret', 'token', 'key'].flatMap((name) => [
        name,
        `*.${name}`,
        `*.*.${name}`,
      ]),
      censor: '[redacted]',
    },
    ...(pretty ? { transport: { target: 'pino-pretty', options: { ignore: 'requestId,traceId' } } } : {}),
  }
}

type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'
type Arguments = [details: object, message?: string]

/**
 * The logger of a request, made when it is first used: most requests log nothing themselves, and to put a request id into a logger with
 * redaction costs as much as to read an event. A class, as one is made for every request.
 */
class RequestLogger {
  readonly #parent: FastifyBaseLogger
  readonly #bindings: object
  readonly #options: object
  #made: FastifyBaseLogger | undefined

  constructor(parent: FastifyBaseLogger, bindings: object, options: object) {
    this.#parent = parent
    this.#bindings = bindings
    this.#options = options
  }
  get level(): string {
    return this.#own.level
  }
  get #own(): FastifyBaseLogger {
    this.#made ??= this.#parent.child(this.#bindings, this.#options)
    return this.#made
  }
  #log(level: Level, parts: Arguments): void {
    this.#own[level](...parts)
  }
  trace(...parts: Arguments) {
    this.#log('trace', parts)
  }
  debug(...parts: Arguments) {
    this.#log('debug', parts)
  }
  info(...parts: Arguments) {
    this.#log('info', parts)
  }
  warn(...parts: Arguments) {
    this.#log('warn', parts)
  }
  error(...parts: Arguments) {
    this.#log('error', parts)
  }
  fatal(...parts: Arguments) {
    this.#log('fatal', parts)
  }
  silent() {
    // A level that logs nothing.
  }
  child(bindings: object, options?: object): FastifyBaseLogger {
    return this.#own.child(bindings, options)
  }
}

export const childLoggerFactory = (parent: FastifyBaseLogger, bindings: object, options: object): FastifyBaseLogger =>
  new RequestLogger(parent, bindings, options)

declare module 'fastify' {
  interface FastifyContextConfig {
    /** For routes whose successes are so many that they are counted and not logged. */
    logsFailuresOnly?: boolean
  }
}

/** One line per request, when it has been answered, and the request id on every answer. */
export default fp(
  async (app) => {
    app.addHook('onRequest', (request, reply, done) => {
      reply.header('x-request-id', request.id)
      done()
    })
    app.addHook('onResponse', (request, reply, done) => {
      done()
      if (request.routeOptions.config.logsFailuresOnly && reply.statusCode < 400) return
      const traceId = TRACEPARENT.exec(String(request.headers.traceparent ?? ''))?.[1]
      const level = reply.statusCode >= 500 ? 'error' : 'info'
      request.log[level](
        {
          method: request.method,
          // The path without its query: a query string may hold what a person searched for.
          path: request.url.split('?', 1)[0],
          status: reply.statusCode,
          durationMs: Math.round(reply.elapsedTime * 10) / 10,
          ip: request.ip,
          traceId,
          organizationId: request.scope?.organizationId,
          keyId: request.principal?.kind === 'key' ? request.principal.keyId : undefined,
        },
        'request',
      )
    })
  },
  { name: 'request-log' },
)
