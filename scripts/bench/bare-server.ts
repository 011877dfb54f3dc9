// The ceiling: a Fastify route that parses and validates the same bodies and does nothing with them.
import type { AddressInfo } from 'node:net'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { Type } from '@sinclair/typebox'
import fastify from 'fastify'
import { BatchInput, EventInput } from '../../src/domains/events/schemas.ts'

// The schema's default is for documents; the shared validator ignores it too.
const app = fastify({
  logger: false,
  bodyLimit: 10 * 1024 * 1024,
  ajv: { customOptions: { strict: false, useDefaults: false } },
})
app.addHook('preParsing', async (request, _reply, payload: Readable) => {
  if (request.headers['content-encoding'] !== 'gzip') return payload
  const decoded = Object.assign(payload.pipe(createGunzip()), { receivedEncodedLength: 0 })
  payload.on('data', (chunk: Buffer) => {
    decoded.receivedEncodedLength += chunk.length
  })
  return decoded
})
app.post('/v1/events', { schema: { body: Type.Union([BatchInput, EventInput]) } }, async (_request, reply) =>
  reply.code(202).send({ accepted: 1 }),
)
await app.listen({ host: '127.0.0.1', port: 0 })
process.send?.({ port: (app.server.address() as AddressInfo).port })
process.on('disconnect', () => process.exit())
