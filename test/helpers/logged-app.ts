import { Writable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { loggerOptions } from '../../src/http/request-log.ts'
import { startTestServices } from './services.ts'

/** An application that logs all that it can, and the lines that it has logged. */
export async function startLoggedApp(
  t: Test,
  overrides: Record<string, string> = {},
  prepare: (app: FastifyInstance) => void = () => {},
) {
  const lines: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(...String(chunk).trimEnd().split('\n'))
      done()
    },
  })
  const services = await startTestServices(t, { METERHOUSE_LOG_LEVEL: 'trace', ...overrides })
  const app = await buildApp(services.config, { ...loggerOptions(services.config.log, false), stream })
  t.teardown(() => app.close())
  prepare(app)
  await app.ready()
  return { ...services, app, lines }
}
